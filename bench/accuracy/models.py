#!/usr/bin/env python3
"""Trains each model of a folder for 50 int8 steps on data that suit it.

Five passes over 320 samples. Says for each whether it compiles, whether the loss fell (mean of the
last pass against the first), and whether every trained tensor moved. Needs numpy and onnx.

    python bench/accuracy/models.py --intrain build/release/intrain --models DIR --data DIR [FILE ...]
"""
import argparse, csv, glob, gzip, json, os, subprocess, sys, tempfile
import numpy as np, onnx
from onnx import numpy_helper

STEPS, BATCH, PASSES = 50, 32, 5
# models that take pixels 0..255; learning rates of models that are not made for the default
PIXELS = ("cntk_mnist8", "wonnx_opt_mnist")
RATES = {"cntk_mnist8": "0.00001", "wonnx_opt_mnist": "0.00001", "mlperf_ad01": "0.00001"}


def idx(path):
    raw = gzip.open(path).read()
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def images(data, shape):
    """Real images with labels for an input shape (without the batch axis), scaled to 0..1 or 0..255."""
    n = STEPS * BATCH // PASSES
    size = int(np.prod(shape))
    if size == 784:
        x, y = idx(f"{data}/mnist/train-images-idx3-ubyte.gz")[:n], idx(f"{data}/mnist/train-labels-idx1-ubyte.gz")[:n]
    elif size == 3072:
        raw = np.fromfile(f"{data}/cifar10/small_train.bin", np.uint8).reshape(-1, 3073)[:n]
        x, y = raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0]
        if shape[-1] == 3:
            x = x.transpose(0, 2, 3, 1)
    elif size == 196:
        x, y = idx(f"{data}/mnist/train-images-idx3-ubyte.gz")[:n], idx(f"{data}/mnist/train-labels-idx1-ubyte.gz")[:n]
        x = x.reshape(-1, 14, 2, 14, 2).mean((2, 4)).astype(np.uint8)
    elif size == 64:
        rows = np.loadtxt(f"{data}/digits/digits.csv", delimiter=",", skiprows=1)[:n]
        x, y = (rows[:, :64] * 15).astype(np.uint8), rows[:, 64]
    else:
        return None
    return np.ascontiguousarray(x.reshape(len(x), *shape)), y.astype(np.int32)


def regression(shape, out):
    rng = np.random.default_rng(1)
    x = rng.random((STEPS * BATCH // PASSES, *shape), np.float32)
    if list(shape) == list(out):
        return x, x
    y = np.sin(x.reshape(len(x), -1)[:, :1] * 6.28) + np.zeros((len(x), int(np.prod(out))))
    return x, y.reshape(len(x), *out).astype(np.float32)


def dims(v, fixed):
    d = [k.dim_value for k in v.type.tensor_type.shape.dim]
    return d[1:]


def plan(path, data):
    """(npy arrays, loss option, scale) for a model."""
    g = onnx.load(path).graph
    known = {t.name for t in g.initializer}
    ins = [i for i in g.input if i.name not in known]
    shape = dims(ins[0], True)
    floats = [o for o in g.output if o.type.tensor_type.elem_type == 1]
    out = dims(floats[0], True)
    if 0 in shape or 0 in out:
        raise LookupError(f"no data here for extents {shape} and {out} (0: symbolic)")
    found = images(data, shape)
    if len(ins) == 2 and ins[1].name == "label":
        return (*found, ["--loss", "graph"])
    if found and out in ([10], [1, 10]):
        return (*found, [])
    return (*regression(shape, out or [1]), ["--loss", "mse"])


def floats_of(path):
    g = onnx.load(path).graph
    found = {t.name: numpy_helper.to_array(t) for t in g.initializer if t.data_type == 1}
    for n in g.node:
        if n.op_type == "Constant" and n.attribute[0].name == "value":
            found[n.output[0]] = numpy_helper.to_array(n.attribute[0].t)
    return found


def check(intrain, path, data, arith, lr):
    x, y, loss = plan(path, data)
    name = os.path.basename(path).split(".")[0]
    scale = ",scale=1/255" if x.dtype == np.uint8 and name not in PIXELS else ""
    lr = RATES.get(name, lr)
    with tempfile.TemporaryDirectory() as d:
        np.save(f"{d}/x.npy", x), np.save(f"{d}/y.npy", y)
        run = lambda *a: subprocess.run(a, check=True, capture_output=True, text=True)
        report = json.loads(run(intrain, "check", path, "--json", *loss).stdout)
        run(intrain, "compile", path, "-o", f"{d}/t", "--arith", arith, "--batch", str(BATCH), "--lr", lr, *loss)
        run("make", "-s", "-C", f"{d}/t")
        run(f"{d}/t/trainer", "--data", f"npy:{d}/x.npy,{d}/y.npy{scale}", "--steps", str(STEPS), "--save", f"{d}/c", "--log", f"{d}/log", "--quiet")
        run(intrain, "export", path, f"{d}/c", "-o", f"{d}/o.onnx")
        losses = [e["loss"] for e in map(json.loads, open(f"{d}/log")) if e["event"] == "step"]
        before, after = floats_of(path), floats_of(f"{d}/o.onnx")
    trained = [t["name"] for t in report["tensors"] if t["kind"] == "trained"]
    still = [n for n in trained if n in before and np.array_equal(before[n], after[n])]
    k = STEPS // PASSES
    return np.mean(losses[:k]), np.mean(losses[-k:]), len(trained), still


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--intrain", default="build/release/intrain")
    a.add_argument("--models", required=True)
    a.add_argument("--data", required=True)
    a.add_argument("--arith", default="int8")
    a.add_argument("--lr", default="0.02")
    a.add_argument("files", nargs="*")
    a = a.parse_args()
    failed = 0
    print("| model | loss, first pass | last pass | trained tensors |\n|---|---|---|---|")
    for path in a.files or sorted(glob.glob(f"{a.models}/*.onnx") + glob.glob(f"{a.models}/thirdparty/*.onnx")):
        path = path if os.path.exists(path) else f"{a.models}/{path}"
        try:
            first, last, trained, still = check(a.intrain, path, a.data, a.arith, a.lr)
            ok = last < first and not still
            print(f"| {os.path.basename(path)} | {first:.4f} | {last:.4f} | {trained}{', not moved: ' + ' '.join(still) if still else ''} |"
                  f"{'' if ok else ' **failed**'}", flush=True)
        except LookupError as e:
            ok = True
            print(f"| {os.path.basename(path)} | not tried | {e} | |", flush=True)
        except subprocess.CalledProcessError as e:
            ok = False
            print(f"| {os.path.basename(path)} | failed | {' '.join((e.stderr or e.stdout).strip().splitlines()[-1:])} | |", flush=True)
        failed += not ok
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
