#!/bin/sh
# No floating-point type or instruction in an int8 or int16 trainer: it compiles where the compiler
# may not touch floating-point registers, and the disassembly has no such instruction.
. "$(dirname "$0")/common.sh"

have objdump || fail "objdump (binutils) is missing"
case $(uname -m) in
x86_64)
    bad='[[:space:]](v?(add|sub|mul|div|sqrt|min|max|cmp[a-z]*|u?comi|rcp|rsqrt|round|fn?m(add|sub)[0-9]*|hadd|hsub|dp)[sp][sd]|v?cvt[a-z0-9]+|f(ld|ild|st|ist|add|sub|mul|div|com|ucom|sqrt)[a-z0-9]*)([[:space:]]|$)'
    flags=-mgeneral-regs-only ;;
aarch64)
    bad='[[:space:]](f(add|sub|mul|div|madd|cmp|cvt[a-z]*|sqrt|rint[a-z]*)|[su]cvtf)([[:space:]]|$)'
    flags=-mgeneral-regs-only ;;
*) echo "no pattern for $(uname -m)"; exit 77 ;;
esac

for arith in int8 int16; do
    compile "$MODELS/cnn.onnx" "$WORK/$arith" --arith $arith --batch 16 --optimizer adamw
    for cflags in "-O0" "-O3"; do
        make -s -C "$WORK/$arith" clean
        build "$WORK/$arith" CFLAGS="$cflags"
        find "$WORK/$arith" -name '*.o' | while read -r o; do
            objdump -d --no-show-raw-insn "$o" | grep -E "$bad" && fail "$arith $cflags: floating point in $o"
            true
        done
    done
    make -s -C "$WORK/$arith" clean
    build "$WORK/$arith" CFLAGS="-O2 $flags"
    echo "ok: $arith"
done

# the pattern does find floating point where it is
compile "$MODELS/cnn.onnx" "$WORK/float32" --arith float32 --batch 16
build "$WORK/float32" CFLAGS="-O2 -Wall -Wextra -Wconversion -Werror"
find "$WORK/float32" -name '*.o' -exec objdump -d --no-show-raw-insn {} + | grep -E "$bad" >"$WORK/found" ||
    fail "the pattern finds no floating point in a float32 trainer"
