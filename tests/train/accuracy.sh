#!/bin/sh
# Integer training reaches float32's accuracy with the same weights, sample order and
# hyper-parameters, on real data; and the test can tell: truncating in place of rounding, or 8-bit
# weights updated to nearest, fail it.
. "$(dirname "$0")/common.sh"

DATA=${FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
[ -f "$DATA/train-images-idx3-ubyte.gz" ] || { echo "dataset-fashion-mnist is missing"; exit 77; }
for f in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
    gzip -dc "$DATA/$f-ubyte.gz" >"$WORK/$f"
done
TRAIN=idx:$WORK/train-images-idx3,$WORK/train-labels-idx1,$CLASSIFY,limit=10000
TEST=idx:$WORK/t10k-images-idx3,$WORK/t10k-labels-idx1,limit=5000

accuracy() { # NAME [options]: mean over three seeds, in hundredths of a point
    name=$1
    shift
    compile "$MODELS/mlp.onnx" "$WORK/$name" --batch 64 --lr 0.01 "$@"
    build "$WORK/$name"
    for seed in 1 2 3; do
        "$WORK/$name/trainer" --data "$TRAIN" --eval "$TEST" --epochs 4 --seed $seed --quiet \
            --log "$WORK/log" || fail "$name, seed $seed"
        sed -n 's/.*"event":"eval".*"accuracy":\([0-9.]*\).*/\1/p' "$WORK/log" | tail -n 1
        rm "$WORK/log"
    done | awk '{ sum += $1 } END { if (NR != 3) exit 1; printf "%d\n", 10000 * sum / 3 + 0.5 }'
}

float32=$(accuracy float32 --arith float32)
echo "float32: $float32 hundredths of a point"
[ "$float32" -gt 7500 ] || fail "float32 itself does not learn"
for arith in int8 int16; do
    found=$(accuracy $arith --arith $arith)
    echo "$arith: $found"
    [ $((found - float32)) -ge -50 ] && [ $((found - float32)) -le 50 ] ||
        fail "$arith is further than half a point from float32"
done
found=$(accuracy floor --rounding forward=floor,backward=floor,update=floor)
echo "arithmetic shift in place of rounding: $found"
[ $((float32 - found)) -gt 200 ] || fail "the test cannot tell truncation from rounding"
found=$(accuracy nearest --state-bits 8 --rounding update=nearest)
echo "8-bit weights, updates to nearest: $found"
[ $((float32 - found)) -gt 200 ] || fail "the test cannot tell lost updates"
