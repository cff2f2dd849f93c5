# What the training tests share. ctest sets INTRAIN, MAKE_DATA, SOURCE (the repository) and runs
# each test in a fresh folder WORK.
set -eu
: "${INTRAIN:?}" "${MAKE_DATA:?}" "${SOURCE:?}"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
MODELS=$SOURCE/tests/models
CLASSIFY=scale=1/255

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# compile MODEL.onnx DIR [options]: the trainer's sources
compile() {
    model=$1 dir=$2
    shift 2
    "$INTRAIN" compile "$model" -o "$dir" -q "$@" || fail "compile $model $*"
}

# build DIR [make variables]
build() {
    make -s -C "$@" >"$WORK/make.log" 2>&1 || {
        cat "$WORK/make.log" >&2
        fail "make -C $*"
    }
}

# digest COMMAND...: the digest that a trainer prints last
digest() {
    "$@" --digest --quiet >"$WORK/out" 2>"$WORK/err" || {
        cat "$WORK/out" "$WORK/err" >&2
        fail "$*"
    }
    tail -n 1 "$WORK/out" | sed -n 's/^digest \([0-9a-f]\{64\}\)$/\1/p' | grep . || fail "no digest from $*"
}

# same WHAT EXPECTED FOUND
same() {
    [ "$2" = "$3" ] || fail "$1: expected $2, found $3"
    echo "ok: $1"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

"$MAKE_DATA" "$WORK/train" 640 1
"$MAKE_DATA" "$WORK/test" 200 2
TRAIN=idx:$WORK/train-images.idx,$WORK/train-labels.idx,$CLASSIFY
TEST=idx:$WORK/test-images.idx,$WORK/test-labels.idx
