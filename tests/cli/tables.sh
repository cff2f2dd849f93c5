#!/bin/sh
# ops, passes and check print what the compiler goes by; check's exit code is that of compile.
. "$(dirname "$0")/common.sh"

expect 0 '^Conv +1-[0-9]+ +yes +yes +yes' "$INTRAIN" ops
expect 0 '"op": "Gemm"' "$INTRAIN" ops --json
expect 0 '^plan +plan +integers' "$INTRAIN" passes
expect 0 '"pass": "memory"' "$INTRAIN" passes --json

for model in "$MODELS"/*.onnx; do
    expect 0 'can be trained; [0-9]+ trained tensors of [0-9]+ values' "$INTRAIN" check "$model"
done
expect 0 '^0.weight +f32\[4,1,5,5\] +trained +parameter of' "$INTRAIN" check "$MODELS/cnn.onnx"
expect 0 '^0.weight +.* constant +frozen by --freeze' "$INTRAIN" check "$MODELS/cnn.onnx" --freeze '0.*'
expect 0 '"trains": true' "$INTRAIN" check "$MODELS/cnn.onnx" --json
for options in "--loss mse" "--loss none=mse" "--freeze *" "--memory-limit 1K" "--arith float32" \
    "--micro-batch 8" "--loss graph"; do
    checked=0 compiled=0
    # shellcheck disable=SC2086
    set -f
    "$INTRAIN" check "$MODELS/softmax.onnx" $options >check.out 2>&1 || checked=$?
    "$INTRAIN" compile "$MODELS/softmax.onnx" -o t $options -q >compile.out 2>&1 || compiled=$?
    set +f
    [ "$checked" = "$compiled" ] || fail "$options: check says $checked, compile $compiled"
    if [ "$checked" = 0 ]; then
        grep -q 'can be trained' check.out || fail "$options: check does not say so"
    else
        grep -q 'cannot be trained' check.out || fail "$options: check does not say so"
    fi
done

# what is in the way comes first, with what would help; a model that cannot be read is no table
odd=$SOURCE/tests/fuzz/corpus/onnx/opaque.onnx
expect 2 '^  NoSuchOp, from node #2 on: E0201: ' "$INTRAIN" check "$odd"
grep -q 'what would help: ' out || fail "no help for an unsupported operator"
grep -Eq '^[0-9]+ .* no  +E0' out || fail "the table does not say why"
expect 2 '"help": "--train GLOB' "$INTRAIN" check "$odd" --json
"$INTRAIN" check "$SOURCE/tests/fuzz/corpus/onnx/truncated.onnx" --json >broken.json 2>/dev/null && fail "truncated.onnx is taken"
[ "$(tr -d ' \n' <broken.json | sed 's/.*"tensors":\[\],"errors":\[{"id":"E0200".*/found/')" = found ] || fail "$(cat broken.json)"
