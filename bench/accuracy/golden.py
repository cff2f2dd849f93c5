#!/usr/bin/env python3
"""The float32 trainer's outputs and gradients against PyTorch's, for a folder of models.

For each MODELS/NAME.VARIANT.onnx with MODELS/golden/NAME.json: compiles with --arith float32, takes
one step of plain SGD on the batch that the golden file describes, exports, and
compares what each parameter moved by with PyTorch's gradient (relative error of the L2 norm and of
the first values), and the loss with PyTorch's objective. Needs numpy and onnx.

    python bench/accuracy/golden.py --intrain build/release/intrain --models DIR [NAME ...]
"""
import argparse, glob, json, os, subprocess, sys, tempfile
import numpy as np, onnx
from onnx import numpy_helper

TOLERANCE = 1e-4
RATE = 2**30  # a step is the gradient, to all bits: the weight itself is nothing beside it


def initializers(path):
    g = onnx.load(path).graph
    return {t.name: numpy_helper.to_array(t).astype(np.float64) for t in g.initializer if t.data_type in (1, 10, 11)}


def inputs_of(path):
    g = onnx.load(path).graph
    known = {t.name for t in g.initializer}
    return [(i.name, [d.dim_value for d in i.type.tensor_type.shape.dim], i.type.tensor_type.elem_type)
            for i in g.input if i.name not in known]


def vocabulary(path, name):
    """Rows of the embedding that an input of ids chooses from, through nodes that keep ids as they are."""
    g, ids = onnx.load(path).graph, {name}
    rows = {t.name: t.dims[0] for t in g.initializer if len(t.dims) == 2}
    for n in g.node:
        if n.op_type == "Gather" and n.input[1] in ids and n.input[0] in rows:
            return rows[n.input[0]]
        if n.op_type in ("Reshape", "Cast", "Identity") and n.input[0] in ids:
            ids.add(n.output[0])
    sys.exit(f"{path}: input {name} reaches no embedding")


def without_dropout(path, to):
    m = onnx.load(path)
    zero = [n for n in m.graph.node if n.op_type == "Dropout" and len(n.input) > 1]
    for n in zero:
        n.input[1] = "golden.no_dropout"
    if zero:
        m.graph.initializer.append(numpy_helper.from_array(np.float32(0), "golden.no_dropout"))
    onnx.save(m, to)
    return to


def uses(path):
    count = {}
    for n in onnx.load(path).graph.node:
        for i in n.input:
            count[i] = count.get(i, 0) + 1
    return count


def check(intrain, path, golden):
    rng = np.random.default_rng(5)
    name, shape, kind = inputs_of(path)[0]
    ids = kind == onnx.TensorProto.INT64
    x = rng.integers(0, vocabulary(path, name), (4, *shape[1:])) if ids else rng.random((4, *shape[1:]), np.float32)
    label = rng.integers(0, 2, 4)
    in_graph = golden["objective"] == "the loss output"
    outputs = {k: v for k, v in golden["train"].items() if v["shape"]}
    with tempfile.TemporaryDirectory() as d:
        np.save(f"{d}/x.npy", x.astype(np.int32) if ids else x)
        y = label.astype(np.int32) if in_graph else np.zeros(next(iter(outputs.values()))["shape"], np.float32)
        np.save(f"{d}/y.npy", y)
        loss = ["--loss", "graph"] if in_graph else ["--loss", "mse"]
        run = lambda *a: subprocess.run(a, check=True, capture_output=True, text=True)
        path = without_dropout(path, f"{d}/{os.path.basename(path)}")
        run(intrain, "compile", path, "-o", f"{d}/t", "--arith", "float32", "--batch", "4", "--optimizer", "sgd", "--lr", str(RATE), *loss)
        run("make", "-s", "-C", f"{d}/t")
        run(f"{d}/t/trainer", "--data", f"npy:{d}/x.npy,{d}/y.npy,shuffle=0", "--steps", "1", "--save", f"{d}/c", "--log", f"{d}/log", "--quiet")
        run(intrain, "export", path, f"{d}/c", "-o", f"{d}/o.onnx")
        step = [e for e in map(json.loads, open(f"{d}/log")) if e["event"] == "step"][0]
        before, after, count = initializers(path), initializers(f"{d}/o.onnx"), uses(path)
    # torch.export makes one initializer of parameters that start equal: their gradients add
    tied = {n for n in golden["grad"] if count.get(n, 0) > 1} if any(n not in before for n in golden["grad"]) else ()
    # a bias in front of a normalisation has no gradient: what PyTorch gives is its rounding
    floor = 1e-5 * max(want["l2"] for want in golden["grad"].values())
    off = max(abs(step["loss"] - golden["objective_value"]) - 5e-7, 0)  # the log has six decimals
    worst, at = off / max(abs(golden["objective_value"]), 1e-9), "loss"
    for name, want in golden["grad"].items():
        if name not in before:
            print(f"    {name}: not an initializer of {os.path.basename(path)}")
            continue
        if name in tied:
            continue
        g = (before[name] - after[name]).reshape(-1) / RATE
        first = np.array(want["first"])
        if list(before[name].shape) != want["shape"]:  # an exporter's transposed copy: the norm is the same
            first = first[:0]
        scale = max(want["l2"], floor)
        errors = [abs(np.linalg.norm(g) - want["l2"]) / scale]
        errors += list(np.abs(g[: len(first)] - first) / scale)
        if max(errors) > worst:
            worst, at = max(errors), name
    return worst, at


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--intrain", default="build/release/intrain")
    a.add_argument("--models", required=True)
    a.add_argument("names", nargs="*")
    a = a.parse_args()
    failed = 0
    print("| model | worst relative error | at |\n|---|---|---|")
    for file in sorted(glob.glob(f"{a.models}/golden/*.json")):
        name = os.path.basename(file)[:-5]
        if a.names and name not in a.names:
            continue
        for path in sorted(glob.glob(f"{a.models}/{name}.*.onnx")):
            label = os.path.basename(path)
            try:
                worst, at = check(a.intrain, path, json.load(open(file)))
                ok = worst <= TOLERANCE
                print(f"| {label} | {worst:.1e} | {at} |{'' if ok else ' **too large**'}", flush=True)
            except subprocess.CalledProcessError as e:
                ok = False
                print(f"| {label} | failed | {(e.stderr or e.stdout).strip().splitlines()[-1:]} |", flush=True)
            failed += not ok
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
