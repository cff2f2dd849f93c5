#!/bin/sh
# A model that says itself how it is trained, and options that say otherwise.
. "$(dirname "$0")/common.sh"
model=$SOURCE/tests/zoo/adam.onnx
taken='^note: training_info says: 4 trained tensors, --loss loss=graph --optimizer adam,.*,first=0,weight-decay=0.0001 --lr 0.01;'
expect 0 "$taken" "$INTRAIN" check "$model"
grep -q '^note: training_info starts 2 tensors anew' out || fail "the start is not told"
"$INTRAIN" check "$model" >table 2>/dev/null
grep -q '^conv .* trained *trained by Adam "adam_conv" of training_info' table || fail "conv is not told"
grep -q '^m_conv .* state *state of Adam "adam_conv"' table || fail "m_conv is not told"

# options count instead; an optimizer replaces the model's with its rate and what decays
dump() {
    "$INTRAIN" dump "$model" --stage import -o - -q "$@" 2>/dev/null
}
dump | grep -q 'set no_decay = "conv_bias;dense_bias"' || fail "what does not decay is lost"
dump --lr 0.5 | grep -q 'set lr = "0.5"' || fail "--lr is not taken"
dump --lr 0.5 | grep -q 'set optimizer = "adam,' || fail "--lr changes the optimizer"
dump --optimizer adagrad | grep -q 'set lr = "0.01"' || fail "not the rate of adagrad"
dump --optimizer sgd | grep -q 'set lr = "0.05"' || fail "not the rate of sgd"
dump --optimizer sgd | grep -q 'set no_decay = ""' || fail "no_decay is left"
dump --loss output=mse | grep -q 'set loss = "output=mse"' || fail "--loss is not taken"
expect 0 'not matched by --train' "$INTRAIN" check "$model" --train 'conv*'
[ "$(dump)" = "$(dump --seed 0)" ] || fail "the start is another one each time"
[ "$(dump)" != "$(dump --seed 1)" ] || fail "--seed does not change the start"
dump --init keep >kept
grep -q 'param %conv ' kept || fail "--init keep lost conv"
[ "$(cat kept)" != "$(dump)" ] || fail "--init keep starts anew"
expect 0 'training_info is left aside' "$INTRAIN" check "$model" --training-info ignore
grep -q 'label' out && fail "the algorithm is there even so"
expect 2 'E0604: --training-info: found "maybe", expected use or ignore' \
    "$INTRAIN" check "$model" --training-info maybe

# a stage's text is the same program, and a stopped run goes on
cat >one.toml <<E2
[adam]
model = "$model"
options = "--batch 16"
steps = 1
data = "made:samples=64"
E2
"$INTRAIN" regress one.toml --interpret --update -o made -q >out 2>&1 || fail "no data: $(cat out)"
run() {
    "$INTRAIN" train "$@" --interpret --data npz:made/adam.npz,shuffle=0 --digest -q 2>/dev/null
}
"$INTRAIN" dump "$model" --batch 16 --stage loss -o loss.itc -q 2>/dev/null
whole=$(run "$model" --batch 16 --steps 7)
[ -n "$whole" ] && [ "$whole" = "$(run loss.itc --steps 7)" ] || fail "the text trains otherwise"
run "$model" --batch 16 --steps 4 --save half >out
[ "$whole" = "$(run "$model" --batch 16 --steps 7 --resume half)" ] || fail "a stopped run goes on otherwise"

# the trained model has no training_info, whose loss and gradients are not in inference form
"$INTRAIN" export "$model" half -o trained.onnx -q
expect 0 'trained.onnx: can be trained; 4 trained tensors' "$INTRAIN" check trained.onnx
grep -q 'training_info' out && fail "the export has a training_info"
exit 0
