#!/bin/sh
# Neither the kernels that ITR_CPU allows, nor the threads, nor how a trainer was built for them
# changes a bit.
. "$(dirname "$0")/common.sh"

levels="ref avx2 avxvnni avx512vnni neon dotprod i8mm"
for arith in int8 int16 "int8 --exponent bitlength"; do
    # shellcheck disable=SC2086
    compile "$MODELS/cnn.onnx" "$WORK/t" --arith $arith --batch 16 --micro-batch 6
    build "$WORK/t" CFLAGS=-O2
    run() {
        digest "$WORK/t/trainer" --data "$TRAIN" --steps 3 "$@"
    }
    want=$(ITR_CPU=ref run --threads 1)
    for level in $levels; do
        for threads in 1 2 7; do
            same "$arith: ITR_CPU=$level, $threads threads" "$want" \
                "$(ITR_CPU=$level run --threads $threads)"
        done
    done
    same "$arith: whatever is at hand" "$want" "$(run)"
    make -s -C "$WORK/t" clean
    build "$WORK/t" CFLAGS=-O2 ITR_THREADS=0
    same "$arith: ITR_THREADS=0" "$want" "$(run --threads 7)"
    make -s -C "$WORK/t" clean
    build "$WORK/t" CFLAGS=-O2 CPPFLAGS=-DITR_SIMD=0
    same "$arith: ITR_SIMD=0" "$want" "$(run)"
    have aarch64-linux-gnu-gcc && have qemu-aarch64 || continue
    make -s -C "$WORK/t" clean
    build "$WORK/t" CC=aarch64-linux-gnu-gcc CFLAGS=-O2 LDFLAGS=-static
    for cpu in max cortex-a53; do # the latter has NEON alone
        for level in ref neon dotprod i8mm; do
            same "$arith: $cpu, ITR_CPU=$level" "$want" "$(ITR_CPU=$level digest qemu-aarch64 \
                -cpu $cpu "$WORK/t/trainer" --data "$TRAIN" --steps 3 --threads 2)"
        done
    done
done
make -s -C "$WORK/t" clean
build "$WORK/t"
status=0
ITR_CPU=pdp11 "$WORK/t/trainer" --data "$TRAIN" --steps 1 2>"$WORK/err" || status=$?
same "a level that does not exist" 2 $status
grep -q 'E0502: ITR_CPU: found "pdp11", expected ref, avx2' "$WORK/err" || fail "$(cat "$WORK/err")"

compile "$MODELS/cnn.onnx" "$WORK/small" --batch 16 --target cortex-m
[ ! -e "$WORK/small/runtime/x86" ] || fail "a small target has kernels for x86"
build "$WORK/small" CFLAGS=-O2
compile "$MODELS/cnn.onnx" "$WORK/t" --batch 16
build "$WORK/t" CFLAGS=-O2
same "cortex-m" "$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 3)" \
    "$(digest "$WORK/small/trainer" --data "$TRAIN" --steps 3 --threads 7)"
