#!/bin/sh
# Dumps of every stage read back and print the same; later stages may be reached from any; options
# that come too late are refused.
. "$(dirname "$0")/common.sh"
model=$MODELS/cnn.onnx

for arith in int8 float32; do
    for stage in import shape loss backward integer plan schedule memory; do
        "$INTRAIN" dump "$model" --arith $arith --batch 16 --stage $stage -o a.itc
        head -n 1 a.itc | grep -q '^itc 1$' || fail "$stage has no version line"
        "$INTRAIN" opt a.itc >b.itc
        cmp a.itc b.itc || fail "$arith $stage does not print as it was read"
        "$INTRAIN" opt a.itc -o c.itc
        sed 's/c\.itc\.bin/a.itc.bin/' c.itc | cmp - a.itc || fail "$arith $stage: another file"
        "$INTRAIN" dump a.itc --stage memory >later.txt
        "$INTRAIN" dump "$model" --arith $arith --batch 16 >direct.txt
        cmp later.txt direct.txt || fail "$arith: from $stage on it is another program"
        expect 0 '^digraph ' "$INTRAIN" dump a.itc --stage $stage --format dot
    done
done

"$INTRAIN" dump "$model" --batch 16 --stage import -o a.itc
"$INTRAIN" opt a.itc --passes params,shape -o b.itc
"$INTRAIN" dump "$model" --batch 16 --stage shape -o c.itc
sed 's/c\.itc\.bin/b.itc.bin/' c.itc | cmp - b.itc || fail "single passes give another graph"
expect 2 'E0300: pass plan needs' "$INTRAIN" opt a.itc --passes plan

"$INTRAIN" dump "$model" --batch 16 --stage plan -o plan.itc
expect 2 'E0607: --batch 32 comes too late: the graph is of stage plan, made with 16' \
    "$INTRAIN" dump plan.itc --batch 32
expect 2 'E0607: --arith int16 comes too late' "$INTRAIN" dump plan.itc --arith int16
expect 0 'itc 1' "$INTRAIN" dump plan.itc --batch 16
expect 0 'lr = "0.25"' "$INTRAIN" dump plan.itc --lr 0.25
expect 2 'E0608' "$INTRAIN" dump plan.itc --stage loss
expect 0 'graph' "$INTRAIN" dump plan.itc --stage memory --print-after schedule
