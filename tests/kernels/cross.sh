#!/bin/sh
# The kernels of another architecture: the tests of kernels and of requantisation, built by its cross
# compiler and run by an emulator as each of its CPUs.
#
#   cross.sh SOURCE ARCHITECTURE FOLDER CPU...     say cross.sh . aarch64 arm max cortex-a53
#
# FOLDER, below runtime/, has the kernels. CC= names another compiler, CFLAGS= other flags. Ends with
# 77 where the compiler or the emulator is missing.
set -eu
source=$1 arch=$2 folder=$3
shift 3
cc=${CC:-$arch-linux-gnu-gcc}
for tool in "${cc%% *}" "qemu-$arch"; do
    command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$source/runtime"
flags="-std=c11 ${CFLAGS:--O2} -Wall -Wextra -Wconversion -Werror -fno-strict-aliasing -pthread
    -D_POSIX_C_SOURCE=200809L -DITR_THREADS=1 -I.. -I../tests/support/cross"
families=$(for c in "$folder"/*.c; do basename "${c%_*}"; done | sort -u)
# shellcheck disable=SC2086 # families are several words
for c in core.c cpu.c fixed.c pool.c rng.c $(printf 'ref/%s.c ' $families) "$folder"/*.c; do
    # shellcheck disable=SC2086 # options are several words
    $cc $flags -c "$c" -o "$work/$(echo "$c" | tr / _).o"
done
for test in ../tests/kernels/check_*.c ../tests/unit/test_requant.c; do
    name=$(basename "$test" .c)
    # shellcheck disable=SC2086
    $cc $flags -static "$test" "$work"/*.o -o "$work/$name"
    for cpu in "$@"; do
        echo "$name, $cpu"
        "qemu-$arch" -cpu "$cpu" "$work/$name"
    done
done
