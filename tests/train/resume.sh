#!/bin/sh
# A run that stops at step 137, saves and is resumed ends with the digest of one that never stopped;
# several micro-batches a step included.
. "$(dirname "$0")/common.sh"

for options in "--arith int8" "--arith int16 --optimizer adam" "--arith float32 --optimizer adam" "--arith int8 --micro-batch 4"; do
    rm -rf "$WORK/t"
    # shellcheck disable=SC2086
    compile "$MODELS/cnn.onnx" "$WORK/t" --batch 16 --schedule cosine:200 --warmup 10 $options
    build "$WORK/t"
    want=$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 200)
    "$WORK/t/trainer" --data "$TRAIN" --steps 137 --save "$WORK/half" --quiet
    same "$options" "$want" "$(digest "$WORK/t/trainer" --data "$TRAIN" --steps 200 --resume "$WORK/half")"
done
