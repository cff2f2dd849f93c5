#!/bin/sh
# One training run, one digest: whatever the compiler, its optimisation, the machine, the threads,
# the optional passes, the stage that a dump was taken at, and whether it is compiled or interpreted.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2086 # options are several words
STRICT="-Wall -Wextra -Wconversion -Werror"

for arith in int8 int16; do
    optimizer=sgd,momentum=0.9
    [ $arith = int8 ] || optimizer=adamw
    options="--arith $arith --optimizer $optimizer --batch 16"
    compile "$MODELS/cnn.onnx" "$WORK/t" $options
    build "$WORK/t" CC=gcc CFLAGS=-O0
    want=$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 12)
    same "$arith: run again" "$want" "$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 12)"
    same "$arith: 7 threads" "$want" "$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 12 --threads 7)"
    same "$arith: ITR_CPU=ref" "$want" "$(ITR_CPU=ref digest "$WORK/t/trainer" --data "$TRAIN" --steps 12)"
    for cc in "gcc -O3" "gcc -O2 -march=native" "clang -O0" "clang -O3"; do
        have "${cc%% *}" || continue
        make -s -C "$WORK/t" clean
        build "$WORK/t" CC="${cc%% *}" CFLAGS="${cc#* } $STRICT"
        same "$arith: $cc" "$want" "$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 12)"
    done
    for target in aarch64 s390x; do
        have $target-linux-gnu-gcc && have qemu-$target || continue
        make -s -C "$WORK/t" clean
        build "$WORK/t" CC=$target-linux-gnu-gcc CFLAGS=-O2 LDFLAGS=-static
        same "$arith: $target" "$want" "$(digest qemu-$target "$WORK/t/trainer" --data "$TRAIN" --steps 12)"
    done
    same "$arith: interpreted" "$want" "$(digest "$INTRAIN" train "$MODELS/cnn.onnx" --interpret \
        $options --data "$TRAIN" --steps 12)"
    compile "$MODELS/cnn.onnx" "$WORK/plain" $options --skip reuse
    build "$WORK/plain"
    same "$arith: without reuse" "$want" "$(digest "$WORK/plain/trainer" --data "$TRAIN" --steps 12)"
    compile "$MODELS/cnn.onnx" "$WORK/wide" $options --batch 64
    arena=$(sed -n 's/^arena (peak) *//p' "$WORK/wide/plan.txt" | tr -d ,)
    compile "$MODELS/cnn.onnx" "$WORK/narrow" $options --batch 64 --memory-limit $((arena * 97 / 100))
    grep -q '\.again' "$WORK/narrow/plan.txt" || fail "$arith: nothing is computed again"
    build "$WORK/wide"
    build "$WORK/narrow"
    same "$arith: --memory-limit" "$(digest "$WORK/wide/trainer" --data "$TRAIN" --steps 12)" \
        "$(digest "$WORK/narrow/trainer" --data "$TRAIN" --steps 12)"
    for stage in import shape loss backward integer plan schedule memory; do
        "$INTRAIN" dump "$MODELS/cnn.onnx" $options --stage $stage -o "$WORK/$stage.itc"
        same "$arith: from stage $stage" "$want" "$(digest "$INTRAIN" train "$WORK/$stage.itc" \
            --interpret --data "$TRAIN" --steps 12)"
    done
done
