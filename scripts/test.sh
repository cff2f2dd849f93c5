#!/bin/sh
# Every test: installs what they need, runs the quick tests under the address and
# undefined-behaviour sanitizers, then all tests of the preset dev, the slow ones included (whole
# trainings, other machines under qemu). Ends with 1 if one of them fails.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh

# shellcheck disable=SC2086 # a list of words
install_packages $BUILD_PACKAGES libcmocka-dev clang libclang-rt-14-dev \
    libonnx-testdata dataset-fashion-mnist gcc-aarch64-linux-gnu gcc-s390x-linux-gnu \
    libc6-dev-arm64-cross libc6-dev-s390x-cross qemu-user gcc-arm-none-eabi libnewlib-arm-none-eabi binutils

jobs=$(nproc)
cmake --preset dev
cmake --build --preset dev
cmake --preset asan
cmake --build --preset asan

failed=0
ctest --preset asan -j "$jobs" || failed=1
ctest --test-dir build/dev --output-on-failure -j "$jobs" || failed=1
exit "$failed"
