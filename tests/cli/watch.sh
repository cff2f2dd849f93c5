#!/bin/sh
# What a trainer tells of itself: --top5, --confusion, --stats, --profile, --trace. Watching changes no
# bit; the emitted program and the interpreter see the same numbers; figures agree with each other.
. "$(dirname "$0")/common.sh"
command -v python3 >/dev/null || exit 77
small_data
"$MAKE_DATA" test 60 2
EVAL=idx:test-images.idx,test-labels.idx
RUN="--data $DATA --steps 4 --digest --quiet"

for arith in int8 int16 float32; do
    "$INTRAIN" compile "$MODELS/cnn.onnx" -o $arith -q --arith $arith --batch 16 --micro-batch 6
    make -s -j2 -C $arith CFLAGS="-O1 -Wall -Wextra -Wconversion -Werror" >log 2>&1 || {
        cat log >&2
        fail "make $arith"
    }
    # shellcheck disable=SC2086
    $arith/trainer $RUN >plain
    # shellcheck disable=SC2086
    $arith/trainer $RUN --eval $EVAL --eval-every 2 --log $arith.jsonl --top5 --confusion $arith.csv \
        --profile --trace $arith.trace >watched
    tail -n 1 watched | cmp - plain || fail "watching $arith changes the digest"
    grep -q 'update .* in all' watched || grep -q ' in all$' watched || fail "no profile: $(cat watched)"
    python3 - $arith <<'END' || fail "$arith: the evaluation's figures contradict each other"
import csv, json, sys
name = sys.argv[1]
evals = [e for e in map(json.loads, open(name + ".jsonl")) if e["event"] == "eval"]
rows = list(csv.reader(open(name + ".csv")))
table = [[int(v) for v in r[1:]] for r in rows[1:]]
labels = open("test-labels.idx", "rb").read()[8:]
assert len(evals) == 2 and rows[0] == ["target"] + [str(c) for c in range(10)], rows[0]
assert [sum(r) for r in table] == [labels.count(c) for c in range(10)]
assert abs(sum(table[c][c] for c in range(10)) / 60 - evals[-1]["accuracy"]) < 1e-6
assert evals[-1]["accuracy"] < evals[-1]["top5"] <= 1
trace = json.load(open(name + ".trace"))["traceEvents"]
steps = [e for e in trace if e["cat"] == "update"]
assert steps and all(e["dur"] >= 0 and e["ph"] == "X" for e in trace)
ends = [(e["ts"], e["ts"] + e["dur"]) for e in trace]
assert all(a[1] <= b[0] + 0.002 for a, b in zip(ends, ends[1:])), "events overlap"
END
    echo "ok: scores and profile of $arith"
done

# statistics: the same from both, and none of them moves a bit
for arith in int8 int16; do
    # shellcheck disable=SC2086
    $arith/trainer $RUN --stats compiled.jsonl --stats-every 2 >watched
    # shellcheck disable=SC2086
    $arith/trainer $RUN | cmp - watched || fail "statistics change the digest of $arith"
    # shellcheck disable=SC2086
    "$INTRAIN" train "$MODELS/cnn.onnx" --interpret --arith $arith --batch 16 --micro-batch 6 $RUN \
        --stats interpreted.jsonl --stats-every 2 >interpreted
    cmp interpreted watched || fail "the interpreter's digest of $arith differs"
    cmp compiled.jsonl interpreted.jsonl || fail "statistics of $arith differ from the interpreter's"
    python3 - <<'END' || fail "the statistics of $arith are not those of the training"
import json
lines = [json.loads(l) for l in open("compiled.jsonl")]
of = [l for l in lines if l["event"] == "stats" and l["step"] == 4]
trained = [l for l in of if l["kind"] == "param"]
assert [l["tensor"] for l in trained] == ["0.bias", "0.weight", "3.bias", "3.weight", "7.bias", "7.weight", "9.bias", "9.weight"]
for l in trained:
    assert 0 < l["update_ratio"] < 1 and 0 < l["moved"] <= 1 and "gradient_exponent" in l, l
kinds = {l["kind"] for l in of}
assert {"fwd", "dx", "view", "param", "slot"} <= kinds, kinds
image = [l for l in of if l["tensor"].startswith("input")][0]
assert image["elements"] == 16 * 784, image
assert all(0 <= l["zeros"] <= 1 and 0 <= l["extremes"] <= 1 for l in of)
END
    "$INTRAIN" report int8.jsonl --stats compiled.jsonl -o page.html || fail "report --stats"
    grep -q '<h2>Statistics</h2>' page.html || fail "the report shows no statistics"
    echo "ok: statistics of $arith"
done

# refused
# shellcheck disable=SC2086
expect 2 'error E0503: --stats' float32/trainer $RUN --stats never
expect 2 'error E0501: --top5' int8/trainer --data "$DATA" --top5
expect 2 'error E0501: --stats-every' int8/trainer --data "$DATA" --stats-every 3
expect 3 'error E0540: .*"no/where"' int8/trainer --data "$DATA" --steps 1 --stats no/where
expect 3 'error E0540: .*"no/trace"' int8/trainer --data "$DATA" --steps 1 --trace no/trace
absent never

# a program without the hooks
make -s -C int8 clean
make -s -j2 -C int8 CFLAGS="-O1 -DITR_WATCH=0" >log 2>&1 || fail "make with ITR_WATCH=0: $(cat log)"
# shellcheck disable=SC2086
int8/trainer $RUN >without
# shellcheck disable=SC2086
"$INTRAIN" train "$MODELS/cnn.onnx" --interpret --batch 16 --micro-batch 6 $RUN | cmp - without || fail "ITR_WATCH=0 differs"
for option in "--stats never" --profile "--top5 --eval $EVAL"; do
    # shellcheck disable=SC2086
    expect 2 'error E050[34]: --' int8/trainer $RUN $option
done
