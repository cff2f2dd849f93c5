#!/bin/sh
# Installs what the tests need, builds with gcc and with clang's sanitizers, runs every test.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh
# shellcheck disable=SC2086
need $BUILD_PACKAGES $TEST_PACKAGES

jobs=$(nproc 2>/dev/null || echo 2)
failed=0

echo "== clang, address and undefined-behaviour sanitizers"
cmake --preset asan >/dev/null
cmake --build --preset asan -- --quiet -j"$jobs"
ctest --preset asan -j"$jobs" --timeout 900 || failed=1

echo "== gcc, every warning an error, all tests"
cmake --preset dev >/dev/null
cmake --build --preset dev -- --quiet -j"$jobs"
ctest --test-dir build/dev --output-on-failure -j"$jobs" --timeout 1500 || failed=1
exit $failed
