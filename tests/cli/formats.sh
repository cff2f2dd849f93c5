#!/bin/sh
# What is printed for other programs is what their parsers take: JSON and Graphviz of every stage.
. "$(dirname "$0")/common.sh"
command -v python3 >/dev/null || exit 77

json() {
    "$INTRAIN" "$@" >x.json
    python3 -m json.tool x.json >pretty || fail "$*: not JSON"
}

for model in mlp cnn softmax; do
    for stage in import shape loss backward integer plan schedule memory; do
        json dump "$MODELS/$model.onnx" --stage $stage --format json
        nodes=$(grep -c '"op":' pretty)
        "$INTRAIN" dump "$MODELS/$model.onnx" --stage $stage --format dot >x.dot
        drawn=$(grep -cE '^ +n[0-9]+_[0-9]+ \[' x.dot)
        [ "$nodes" -gt 1 ] || fail "$model $stage: only $nodes nodes"
        [ "$nodes" = "$drawn" ] || fail "$model $stage: $nodes nodes in JSON, $drawn in dot"
        if command -v dot >/dev/null; then
            dot -Tsvg x.dot >x.svg || fail "$model $stage: Graphviz does not read it"
        fi
    done
    json check "$MODELS/$model.onnx" --json
    "$INTRAIN" compile "$MODELS/$model.onnx" -o "$model" -q
    python3 -m json.tool "$model/plan.json" >pretty || fail "plan.json of $model"
done
expect 2 E0313 "$INTRAIN" check "$MODELS/mlp.onnx" --json --freeze '*'
"$INTRAIN" check "$MODELS/mlp.onnx" --json --freeze '*' >x.json 2>/dev/null || true
python3 -m json.tool x.json >pretty || fail "check of a model that cannot be trained: not JSON"
json ops --json
json passes --json
