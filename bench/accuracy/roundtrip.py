#!/usr/bin/env python3
"""The zoo's trained models as ONNX: what ONNX Runtime makes of them, and whether they train on.

Each model of tests/zoo is trained as its table says, in int8 and in float32, and exported. ONNX
Runtime's outputs on the same samples give a loss, which must be that of the trainer's own evaluation:
to 1e-5 in float32, to 3 % and 0.02 in int8 (whose evaluation rounds, and the exported one does not).
The exported model, compiled again and trained a step with a rate of 0 and --norm frozen, must
evaluate to that loss as well. Prints a Markdown row a model and arithmetic; ends with 1 if a loss is another one. Needs numpy,
onnx, onnxruntime. Ten minutes of processor time.

    python bench/accuracy/roundtrip.py --intrain build/release/intrain [NAME ...]
"""
import argparse, os, shlex, sys, tempfile, tomllib
import numpy as np, onnx, onnxruntime

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import trainer

ZOO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "zoo", "zoo.toml")
BARS = {"float32": (1e-5, 1e-6), "int8": (0.03, 0.02)}  # of the loss, and beyond it


def without(options, *names):
    """The options but for these, each with its value."""
    return [w for i, w in enumerate(options) if w not in names and (i == 0 or options[i - 1] not in names)]


def option(options, name, default):
    return options[options.index(name) + 1] if name in options else default


def trained(intrain, model, folder, options, data, steps, name):
    """(checkpoint, loss that the trainer's evaluation gives)."""
    program = trainer.compiled(intrain, model, os.path.join(folder, name), options)
    checkpoint, log = (os.path.join(folder, f"{name}.{end}") for end in ("ckpt", "jsonl"))
    trainer.run(program, "--data", data, "--eval", data, "--steps", str(steps), "--save", checkpoint, "--log", log,
                "--quiet")
    return checkpoint, [e["loss"] for e in trainer.events(log) if e["event"] == "eval"][-1]


def cross_entropy(scores, classes):
    """Of scores whose axis 1 counts classes, or the last one where that is what the classes leave."""
    if scores.ndim > 2 and scores.shape[:-1] == classes.shape:
        scores = np.moveaxis(scores, -1, 1)
    scores = scores - scores.max(1, keepdims=True)
    log = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return -np.take_along_axis(log, np.expand_dims(classes.astype(np.int64), 1), 1).mean()


def samples_of(path, exported, folder):
    """The samples under the names that the exported model has: its own losses and labels stay behind."""
    arrays = dict(np.load(path))
    inputs = {i.name for i in onnx.load(exported).graph.input}
    others = [k for k in arrays if k not in inputs and not k.startswith("target")]
    if not others:
        return f"npz:{path}"
    arrays["target"] = arrays.pop(others[0])
    np.savez(os.path.join(folder, "again.npz"), **arrays)
    return f"npz:{os.path.join(folder, 'again.npz')}"


def runtime_loss(path, arrays, kind, rows):
    session = onnxruntime.InferenceSession(path)
    types = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32}
    inputs = session.get_inputs()
    samples = len(arrays[inputs[0].name])
    outputs = []
    for i in range(0, samples, rows):
        feed = {v.name: arrays[v.name][i:i + rows].astype(types[v.type]) for v in inputs}
        outputs.append([np.asarray(o, np.float64) for o in session.run(None, feed)])
    if kind == "graph":
        return float(np.mean([o[0] for o in outputs]))
    scores = np.concatenate([o[0] for o in outputs])
    target = next(v for k, v in arrays.items() if k not in {i.name for i in inputs})
    if kind == "mse":
        return float(((scores - target.reshape(scores.shape)) ** 2).mean())
    return float(cross_entropy(scores, target))


def check(intrain, name, entry, arith, work):
    folder = os.path.join(work, f"{name}.{arith}")
    os.makedirs(folder)
    model = os.path.join(os.path.dirname(ZOO), entry["model"])
    options = shlex.split(entry.get("options", "")) + ["--arith", arith]
    kind = option(options, "--loss", "cross-entropy").split(",")[0]
    path = os.path.join(work, "data", f"{name}.npz")
    exported = os.path.join(folder, "exported.onnx")
    checkpoint, loss = trained(intrain, model, folder, options, f"npz:{path}", entry["steps"], "first")
    trainer.run(intrain, "export", model, checkpoint, "-o", exported, "-q")
    onnx.checker.check_model(onnx.load(exported))
    rows = 1 if kind != "graph" else int(option(options, "--batch", "64"))
    outside = runtime_loss(exported, np.load(path), kind, rows)
    again = without(options, "--init", "--lr", "--schedule", "--warmup") + ["--lr", "0", "--norm", "frozen"]
    _, next_loss = trained(intrain, exported, folder, again, samples_of(path, exported, folder), 1, "again")
    relative, absolute = BARS[arith]
    bar = relative * abs(loss) + absolute
    smooth = "label-smoothing" in entry.get("options", "")  # which evaluation has, and ours here has not
    good = (smooth or abs(outside - loss) <= bar) and abs(next_loss - loss) <= bar
    print(f"| {name} | {arith} | {loss:.6f} | {'-' if smooth else f'{outside:.6f}'} | {next_loss:.6f} |"
          f" {'yes' if good else 'NO'} |", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intrain", default="build/release/intrain")
    parser.add_argument("--arith", nargs="+", default=list(BARS), choices=list(BARS))
    parser.add_argument("names", nargs="*", metavar="NAME")
    a = parser.parse_args()
    intrain = trainer.absolute(a.intrain)
    with open(ZOO, "rb") as f:
        zoo = {k: v for k, v in tomllib.load(f).items() if not a.names or k in a.names}
    bad = 0
    print("| model | arithmetic | loss | in ONNX Runtime | compiled again | the same |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        for name, entry in zoo.items():
            data = os.path.join(work, "data")
            try:  # `regress` makes the samples
                trainer.run(intrain, "regress", ZOO, name, "-o", data, "-q")
                for arith in a.arith:
                    bad += not check(intrain, name, entry, arith, work)
            except trainer.Refused as e:
                print(f"| {name} | {e} |", flush=True)
                bad += 1
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
