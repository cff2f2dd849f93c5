#!/bin/sh
# Evaluation covers every sample, and an answer does not depend on a sample's neighbours: permuted
# and re-split sets give the same loss and accuracy to the last digit.
. "$(dirname "$0")/common.sh"

compile "$MODELS/cnn.onnx" "$WORK/a" --batch 16
compile "$MODELS/cnn.onnx" "$WORK/b" --batch 7
for t in a b; do build "$WORK/$t"; done
"$WORK/a/trainer" --data "$TRAIN" --steps 30 --save "$WORK/ckpt" --quiet
"$MAKE_DATA" "$WORK/other" 200 2 9
OTHER=idx:$WORK/other-images.idx,$WORK/other-labels.idx

evaluate() { # DIR SPEC
    "$1/trainer" --eval "$2,$CLASSIFY" --resume "$WORK/ckpt" --log "$WORK/log" --quiet
    grep '"event":"eval"' "$WORK/log" | sed 's/.*\("loss".*\)/\1/'
    rm "$WORK/log"
}
cmp -s "$WORK/test-images.idx" "$WORK/other-images.idx" && fail "the order is the same"
want=$(evaluate "$WORK/a" "$TEST")
echo "$want" | grep -q accuracy || fail "no accuracy: $want"
same "permuted" "$want" "$(evaluate "$WORK/a" "$OTHER")"
