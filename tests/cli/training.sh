#!/bin/sh
# train, export, compare, report, verify, regress, data: whole ways through the program. Interpreted,
# but for one training that is built.
. "$(dirname "$0")/common.sh"
small_data
model=$MODELS/softmax.onnx
run() {
    "$INTRAIN" train "$model" --interpret --batch 16 --data "$DATA" -q "$@"
}

# digest of a run that is compiled and of one that is interpreted
built=$("$INTRAIN" train "$model" --batch 16 --data "$DATA" --steps 3 --digest -q)
[ "$built" = "$(run --steps 3 --digest)" ] || fail "compiled and interpreted differ: $built"

# export: the trained model is evaluated as the checkpoint is
run --arith float32 --steps 8 --save ckpt --log a.jsonl
"$INTRAIN" export "$model" ckpt -o trained.onnx -q
"$INTRAIN" train "$model" --interpret --arith float32 --batch 16 --eval "$DATA" --resume ckpt --log b.jsonl -q
"$INTRAIN" train trained.onnx --interpret --arith float32 --batch 16 --eval "$DATA" --log c.jsonl -q
"$INTRAIN" train "$model" --interpret --arith float32 --batch 16 --eval "$DATA" --log d.jsonl -q
loss() { sed -n 's/.*"event":"eval".*"loss":\([0-9.]*\).*/\1/p' "$1"; }
[ -n "$(loss b.jsonl)" ] || fail "no loss in b.jsonl"
[ "$(loss b.jsonl)" = "$(loss c.jsonl)" ] || fail "exported: $(loss c.jsonl), trained: $(loss b.jsonl)"
[ "$(loss b.jsonl)" != "$(loss d.jsonl)" ] || fail "training changed nothing"

# verify: a record of two parts, stopped and resumed
run --steps 5 --save half --log run.jsonl
run --steps 9 --resume half --log run.jsonl --seed 0
expect 0 '^step 9: digest [0-9a-f]+ holds' "$INTRAIN" verify run.jsonl --model "$model" --interpret
grep -q '^step 5: digest [0-9a-f]* holds' out || fail "the first part is not verified"
sed 's/"digest":"./"digest":"x/' run.jsonl >forged.jsonl
expect 1 'does not hold' "$INTRAIN" verify forged.jsonl --model "$model" --interpret
expect 2 'E0614: not the model' "$INTRAIN" verify run.jsonl --model "$MODELS/mlp.onnx" --interpret
"$MAKE_DATA" train 160 9
expect 2 'E0614: not the data' "$INTRAIN" verify run.jsonl --model "$model" --interpret
"$MAKE_DATA" train 160 1

# a rate that is given outdoes the one in a checkpoint; another seed is refused
run --steps 9 --resume half --lr 0.001 --log slow.jsonl
grep -q '"event":"step","step":9.*"lr":0.001,' slow.jsonl || fail "--lr had no effect after --resume"
run --steps 9 --resume half --lr 0.001 --log run.jsonl
expect 2 'E0620: .*resumed with another lr' "$INTRAIN" verify run.jsonl --model "$model" --interpret
expect 2 'E0522' run --steps 9 --resume half --seed 4

# regress: recorded, repeated, then held against something else
cat >zoo.toml <<END
[softmax] # a comment
model = "$model"
data = "$DATA"
options = "--batch 16"
steps = 6
max_loss = 5
max_arena = 1e9

[float]
model = "$model"
data = "$DATA"
options = "--batch 16 --arith float32"
steps = 6
END
expect 1 'no digest is recorded' "$INTRAIN" regress zoo.toml --interpret
expect 0 '2 passed, 0 failed' "$INTRAIN" regress zoo.toml --interpret --update
expect 0 '2 passed, 0 failed' "$INTRAIN" regress zoo.toml --interpret
grep -q 'options = "--batch 16 --arith float32"' zoo.toml || fail "--update lost a line"
cp zoo.toml good.toml
sed 's/max_loss = 5/max_loss = 0.001/' good.toml >zoo.toml
expect 1 'at most 0.001 is allowed' "$INTRAIN" regress zoo.toml --interpret
sed 's/max_arena = 1e9/max_arena = 10/' good.toml >zoo.toml
expect 1 'at most 10 is allowed' "$INTRAIN" regress zoo.toml --interpret
sed 's/digest = "./digest = "x/' good.toml >zoo.toml
expect 1 'recorded is x' "$INTRAIN" regress zoo.toml --interpret --junit zoo.xml --html zoo.html
grep -q '<testsuite name="zoo.toml" tests="2" failures="1" errors="0" skipped="0"' zoo.xml || fail "$(cat zoo.xml)"
grep -q 'name="softmax" time="[0-9.]*">' zoo.xml || fail "no failed test in zoo.xml"
grep -q 'failure message="digest [0-9a-f]*, recorded is x' zoo.xml || fail "no reason in zoo.xml"
grep -q '<svg' zoo.html || fail "no curve in zoo.html"
sed 's/^memory = .*/memory = 10/' good.toml >zoo.toml
expect 1 'bytes of memory, recorded are 10' "$INTRAIN" regress zoo.toml --interpret
expect 0 '1 passed, 0 failed, 1 not run' "$INTRAIN" regress good.toml --interpret 'soft*'
expect 2 'E0606: good.toml has no table \[hard\]' "$INTRAIN" regress good.toml --interpret hard
echo 'what is this' >>zoo.toml
expect 2 'zoo.toml:[0-9]+: error E0615' "$INTRAIN" regress zoo.toml --interpret

# data that are made; a rate at which nothing is learnt; a model that cannot be trained
cat >own.toml <<END
[still]
model = "$model"
data = "made:samples=16" # all of them are a batch
options = "--batch 16 --lr 0"
[unknown]
model = "nowhere.onnx"
END
expect 2 'the loss does not fall' "$INTRAIN" regress own.toml --interpret --update --junit own.xml -o kept
grep -q 'failures="1" errors="1"' own.xml || fail "$(cat own.xml)"
[ -s kept/still.npz ] && [ -s kept/still.jsonl ] || fail "-o keeps nothing"
echo 'falls = false' >>own.toml
sed '/unknown/,$d' own.toml >still.toml
echo 'falls = false' >>still.toml
expect 0 '1 passed' "$INTRAIN" regress still.toml --interpret
expect 2 'E0613' sh -c 'sed "s/made:samples/made:many/" still.toml >bad.toml; "$INTRAIN" regress bad.toml --interpret'

# compare and report
expect 0 'float32' "$INTRAIN" compare "$model" --interpret --batch 16 --data "$DATA" --steps 8 --report r.html -q
grep -q '<svg' r.html || fail "no chart in the report"
"$INTRAIN" report a.jsonl run.jsonl -o both.html
grep -q '</html>' both.html || fail "the report is not whole"

# data: what is compressed comes out as it was; a table as two arrays
gzip -c train-labels.idx >labels.gz
"$INTRAIN" data labels.gz -o labels.idx -q
cmp labels.idx train-labels.idx || fail "unpacking changed the file"
head -c 40 labels.gz >cut.gz
expect 2 'E0612' "$INTRAIN" data cut.gz -o cut
expect 2 'E0612' "$INTRAIN" data gz:zoo.toml -o cut
absent cut
printf 'a,b,class\n1,2.5,0\n-3,4e2,7\n' >t.csv
"$INTRAIN" data csv:t.csv -o t -q
tail -c 16 t-x.npy | od -An -tx1 | tr -d ' \n' | grep -q '^0000803f00002040000040c00000c843$' || fail "numbers of the table"
tail -c 8 t-y.npy | od -An -tx1 | tr -d ' \n' | grep -q '^0000000007000000$' || fail "labels of the table"
"$INTRAIN" data csv:t.csv --label a -o u -q
tail -c 8 u-y.npy | od -An -tx1 | tr -d ' \n' | grep -q '^01000000fdffffff$' || fail "labels of another column"
expect 2 'E05' "$INTRAIN" data csv:t.csv --label d -o t
expect 2 'E0613' "$INTRAIN" data what:t.csv -o t
expect 2 'E0001' "$INTRAIN" data images:nowhere -o t
expect 2 'E0611' "$INTRAIN" data images:. -o w
absent w-x.npy

# labels that the loss ignores lie outside the classes: taken by compiled and interpreted trainers alike
for label in 1 -1; do
    awk -v l=$label 'BEGIN { for (i = 0; i < 32; i++) { for (k = 0; k < 784; k++) printf "%d,", (i * 7 + k) % 9
        print i % 4 == 3 ? l : 2 } }' >"ignored$label.csv"
done
one() { # LABEL OPTIONS: the digest after two steps
    label=$1
    shift
    "$INTRAIN" train "$MODELS/mlp.onnx" --batch 16 --data "csv:ignored$label.csv" --steps 2 --digest -q "$@"
}
ignore="--loss cross-entropy,ignore-index=-1"
# shellcheck disable=SC2086
interpreted=$(one -1 $ignore --interpret)
# shellcheck disable=SC2086
[ "$(one -1 $ignore)" = "$interpreted" ] || fail "ignored labels: compiled and interpreted differ"
[ "$(one 1 --interpret)" != "$interpreted" ] || fail "ignored labels count"
expect 2 'E0515' one -1 --interpret
