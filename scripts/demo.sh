#!/bin/sh
# From nothing to a trained model: installs what is missing, builds intrain, compiles the example
# network, trains it on all of Fashion-MNIST in 8-bit integers, writes it back as float ONNX and
# makes a report.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES dataset-fashion-mnist

begin=$(date +%s)
out=build/demo
echo "== building intrain"
cmake -S . -B "$out/intrain" -G Ninja -DCMAKE_BUILD_TYPE=Release -DITC_TESTS=OFF >/dev/null
cmake --build "$out/intrain" -- --quiet
intrain=$out/intrain/intrain

echo "== unpacking Fashion-MNIST"
mkdir -p "$out/data"
source=$(dpkg -L dataset-fashion-mnist | grep 'train-images-idx3-ubyte')
for part in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
    file=$(dirname "$source")/$part-ubyte
    if [ -e "$file.gz" ]; then
        gzip -dc "$file.gz" >"$out/data/$part-ubyte"
    else
        cp "$file" "$out/data/$part-ubyte"
    fi
done
train=idx:$out/data/train-images-idx3-ubyte,$out/data/train-labels-idx1-ubyte,scale=1/255
test=idx:$out/data/t10k-images-idx3-ubyte,$out/data/t10k-labels-idx1-ubyte

echo "== compiling examples/fashion_cnn.onnx to C, and the C to a program"
"$intrain" compile examples/fashion_cnn.onnx -o "$out/trainer" --lr 0.05 --schedule cosine:3752
make -s -C "$out/trainer" CFLAGS="-O3 -march=native" -j2

echo "== training: 4 epochs of 60,000 images in 8-bit integers"
"$out/trainer/trainer" --data "$train" --eval "$test" --epochs 4 \
    --log "$out/run.jsonl" --save "$out/fashion_cnn.ckpt"

echo "== exporting and reporting"
"$intrain" export examples/fashion_cnn.onnx "$out/fashion_cnn.ckpt" -o "$out/fashion_cnn.onnx"
"$intrain" report "$out/run.jsonl" --plan "$out/trainer" -o "$out/report.html"

echo
echo "done in $(($(date +%s) - begin)) seconds"
echo "  the C program     $out/trainer/     (fashion_cnn.c; plan.txt tells its numbers)"
echo "  the trained model $out/fashion_cnn.onnx"
echo "  the report        $out/report.html"
