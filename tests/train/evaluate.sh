#!/bin/sh
# Evaluation covers every sample, and an answer does not depend on a sample's neighbours: permuted
# and re-split sets give the same loss and accuracy to the last digit.
. "$(dirname "$0")/common.sh"

compile "$MODELS/cnn.onnx" "$WORK/t" --batch 16
build "$WORK/t"
"$WORK/t/trainer" --data "$TRAIN" --steps 30 --save "$WORK/ckpt" --quiet

evaluate() { # PREFIX: loss and accuracy
    "$WORK/t/trainer" --eval "idx:$1-images.idx,$1-labels.idx,$CLASSIFY" --resume "$WORK/ckpt" \
        --log "$WORK/log" --quiet
    sed -n 's/.*"event":"eval".*"loss":\([0-9.]*\),"accuracy":\([0-9.]*\).*/\1 \2/p' "$WORK/log"
    rm "$WORK/log"
}

want=$(evaluate "$WORK/test")
echo "$want" | grep -Eq '^[0-9.]+ [0-9.]+$' || fail "no evaluation: $want"

"$MAKE_DATA" "$WORK/other" 200 2 9
cmp -s "$WORK/test-images.idx" "$WORK/other-images.idx" && fail "the order is the same"
same "permuted" "$want" "$(evaluate "$WORK/other")"

# 77 + 123 samples: no multiple of the batch
"$MAKE_DATA" "$WORK/one" 200 2 0 0 77
"$MAKE_DATA" "$WORK/two" 200 2 0 77 200
parts="$(evaluate "$WORK/one") $(evaluate "$WORK/two")"
echo "$want $parts" | awk '{
    loss = (77 * $3 + 123 * $5) / 200; accuracy = (77 * $4 + 123 * $6) / 200
    d = loss - $1; a = accuracy - $2
    exit !(d < 2e-9 && d > -2e-9 && a < 2e-6 && a > -2e-6) }' || fail "re-split: $want against $parts"
echo "ok: re-split"
