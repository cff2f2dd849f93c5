#!/bin/sh
# The recorded trajectory of ResNet-20 in the zoo, batch 32: one digest with every kernel set, any
# number of threads, and on other machines.
. "$(dirname "$0")/common.sh"

ZOO=$SOURCE/tests/zoo/zoo.toml
want=$(sed -n '/^\[resnet20\]/,/^$/s/^digest = "\([0-9a-f]*\)"$/\1/p' "$ZOO")
steps=$(sed -n '/^\[resnet20\]/,/^$/s/^steps = //p' "$ZOO")
[ ${#want} -eq 64 ] || fail "no digest is recorded"
"$INTRAIN" regress "$ZOO" resnet20 -o "$WORK/zoo" || fail "regress"
T=$WORK/zoo/resnet20
run() { # [COMMAND...]: the digest; the trainer comes last
    digest "$@" "$T/trainer" --data "npz:$T.npz" --steps "$steps" --threads "$threads"
}
for threads in 1 7; do
    same "$threads threads" "$want" "$(run env)"
    same "ITR_CPU=ref, $threads threads" "$want" "$(run env ITR_CPU=ref)"
done
threads=2
for target in aarch64 s390x; do
    have $target-linux-gnu-gcc && have qemu-$target || continue
    make -s -C "$T" clean
    build "$T" CC=$target-linux-gnu-gcc CFLAGS=-O2 LDFLAGS=-static
    same "$target" "$want" "$(run qemu-$target)"
done
