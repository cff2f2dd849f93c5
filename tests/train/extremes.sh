#!/bin/sh
# What one kernel hands on to another says what the other would have found: the same digest with
# and without the pass.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2086 # options are several words
for arith in int8 int16 "int8 --rounding forward=stochastic"; do
    options="--arith $arith --batch 16 --micro-batch 6"
    compile "$MODELS/norms.itc" "$WORK/t" $options
    compile "$MODELS/norms.itc" "$WORK/plain" $options --skip extremes
    grep -q 'by extremes' "$WORK/t/plan.txt" || fail "$arith: extremes are not handed on"
    grep -q 'Requant.*by extremes' "$WORK/plain/plan.txt" && fail "$arith: extremes are handed on"
    build "$WORK/t"
    build "$WORK/plain"
    want=$(digest "$WORK/plain/trainer" --data "$TRAIN" --steps 6)
    same "$arith: by extremes" "$want" "$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 6)"
    same "$arith: by extremes, ITR_CPU=ref" "$want" \
        "$(ITR_CPU=ref digest "$WORK/t/trainer" --data "$TRAIN" --steps 6 --threads 2)"
done
