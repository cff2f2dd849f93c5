#!/bin/sh
# Files that are missing, empty, cut off or something else, and outputs that cannot be written: the
# right exit code, and nothing left behind.
. "$(dirname "$0")/common.sh"
model=$MODELS/cnn.onnx

expect 2 'E0001' "$INTRAIN" compile missing.onnx -o t
expect 2 'E0001' "$INTRAIN" compile . -o t
: >empty.onnx
expect 2 'empty.onnx: error E02' "$INTRAIN" compile empty.onnx -o t
size=$(wc -c <"$model")
for n in 1 2 17 100 1000 $((size / 2)) $((size - 1)); do
    head -c "$n" "$model" >cut.onnx
    expect 2 'cut.onnx: .*error E[01]2?' "$INTRAIN" compile cut.onnx -o t
    expect 2 'error E' "$INTRAIN" check cut.onnx
done
head -c 5000 /dev/urandom >noise.onnx
expect 2 'noise.onnx: ' "$INTRAIN" compile noise.onnx -o t
echo 'itc 99' >future.itc
expect 2 'future.itc:1.*E0101' "$INTRAIN" opt future.itc
"$INTRAIN" dump "$model" --stage loss -o good.itc
head -c 700 good.itc >cut.itc
expect 2 'cut.itc:[0-9]+:[0-9]+: error E01' "$INTRAIN" compile cut.itc -o t
cp good.itc moved.itc && mkdir elsewhere && mv moved.itc elsewhere/
expect 2 'E0112' "$INTRAIN" compile elsewhere/moved.itc -o t
absent t

expect 3 'E0411|E0003' "$INTRAIN" compile "$model" -o no/such/folder
expect 3 'E0003' "$INTRAIN" dump "$model" -o no/such/file
: >file
expect 3 'E0411|E0003' "$INTRAIN" compile "$model" -o file
if [ -c /dev/full ]; then
    # by way of a link: a program that replaces what it writes to must not reach the device
    ln -s /dev/full full
    expect 3 'E0003' "$INTRAIN" dump "$model" --format json -o full
    expect 3 'E0003' sh -c "'$INTRAIN' dump '$model' >/dev/full"
    expect 3 'E0003' sh -c "'$INTRAIN' ops >/dev/full"
    [ -h full ] || fail "a link to a device was replaced"
fi
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod a-w locked
    expect 3 'E0003' "$INTRAIN" dump "$model" -o locked/x
fi

small_data
"$INTRAIN" train "$model" --interpret --batch 16 --data "$DATA" --steps 2 --save ckpt -q
expect 2 'E0610' "$INTRAIN" export "$model" "$model" -o t.onnx
head -c 3000 ckpt >cut.ckpt
expect 2 'cut.ckpt: error E0610' "$INTRAIN" export "$model" cut.ckpt -o t.onnx
expect 2 'E0218' "$INTRAIN" export "$MODELS/mlp.onnx" ckpt -o t.onnx
expect 3 'E0003' "$INTRAIN" export "$model" ckpt -o no/such/t.onnx
expect 2 'E0606: -o' "$INTRAIN" export "$model" ckpt
absent t.onnx
expect 2 'E0620' "$INTRAIN" report "$model" -o r.html
expect 2 'E0001' "$INTRAIN" report missing.jsonl -o r.html
absent r.html
