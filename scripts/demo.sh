#!/bin/sh
# From nothing to a trained model: installs what building needs, builds intrain, compiles an example
# ONNX model, trains it on all of Fashion-MNIST in int8, exports it and writes a report.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh

# shellcheck disable=SC2086 # a list of words
install_packages $BUILD_PACKAGES libcmocka-dev dataset-fashion-mnist

cmake --preset release
cmake --build --preset release --target intrain
intrain=build/release/intrain
demo=build/demo
mkdir -p "$demo/data"

# The trainer reads IDX files as they are; Debian ships them compressed.
for name in train-images-idx3-ubyte train-labels-idx1-ubyte \
    t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    file=$(dpkg -L dataset-fashion-mnist | grep "/$name\(\.gz\)\?$" | head -n 1)
    case $file in
    *.gz) gunzip -c "$file" >"$demo/data/$name" ;;
    *) cp "$file" "$demo/data/$name" ;;
    esac
done

rm -rf "$demo/fashion"
"$intrain" compile examples/fashion_cnn.onnx -o "$demo/fashion" --batch 64 --lr 0.02
make -s -C "$demo/fashion"
"$demo/fashion/trainer" \
    --data "idx:$demo/data/train-images-idx3-ubyte,$demo/data/train-labels-idx1-ubyte,scale=1/255" \
    --eval "idx:$demo/data/t10k-images-idx3-ubyte,$demo/data/t10k-labels-idx1-ubyte" \
    --epochs 2 --eval-every 469 --log "$demo/fashion.jsonl" --save "$demo/fashion.ckpt" --digest
"$intrain" export examples/fashion_cnn.onnx "$demo/fashion.ckpt" -o "$demo/fashion_trained.onnx"
"$intrain" report "$demo/fashion.jsonl" --plan "$demo/fashion" -o "$demo/report.html"

echo
echo "the trained model: $PWD/$demo/fashion_trained.onnx"
echo "the trainer in C:  $PWD/$demo/fashion/"
echo "the report:        $PWD/$demo/report.html"
