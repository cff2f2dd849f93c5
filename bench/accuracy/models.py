#!/usr/bin/env python3
"""Trains each model of a folder for 50 int8 steps on data that suit it.

Five passes over 320 samples (80 where a sample is large). Says for each whether it compiles, whether the loss fell (mean of the
last pass against the first), and whether every trained tensor moved. Needs numpy, onnx and
onnxruntime.

    python bench/accuracy/models.py --intrain build/release/intrain --models DIR --data DIR [FILE ...]
"""
import argparse, glob, gzip, json, os, subprocess, sys, tempfile
import numpy as np, onnx
from onnx import numpy_helper

STEPS, PASSES = 50, 5
# models that take pixels 0..255; learning rates of models that are not made for the default
PIXELS = ("cntk_mnist8", "wonnx_opt_mnist", "mlperf_resnet8")
RATES = {"cntk_mnist8": "0.00001", "wonnx_opt_mnist": "0.00001", "mlperf_ad01": "0.00001", "mlperf_resnet8": "0.0001",
         "mlperf_resnet8_int8": "0.0001", "mlperf_wakeword": "0.001"}
INT8, CLASSES = 3, {(10,), (1, 10)}


def idx(path):
    raw = gzip.open(path).read()
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def array(path):
    return np.load(gzip.open(path))


def spoken(data, kind):
    return array(f"{data}/fsdd/train_{kind}.npy.gz"), array(f"{data}/fsdd/train_labels.npy.gz")


def sentences(data):
    return array(f"{data}/sst2/train_ids.npy.gz").astype(np.int32), array(f"{data}/sst2/train_labels.npy.gz")


def bytes_of_text(data, length):
    """Windows of a text as numbers of its characters, and the character after each."""
    text = np.frombuffer(open(f"{data}/tinyshakespeare/input.txt", "rb").read(), np.uint8)
    ids = np.searchsorted(np.unique(text), text).astype(np.int32)[: 400 * (length + 1)].reshape(400, length + 1)
    return ids[:, :-1], ids[:, 1:]


def street(data):
    return array(f"{data}/camvid/train_images.npy.gz"), array(f"{data}/camvid/train_labels.npy.gz")


def halved(data):
    whole = street(data)[0]
    n, c, h, w = whole.shape
    small = whole.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5)).astype(np.uint8)
    return small, (whole / 255).astype(np.float32)


# models that need more than their extents to say what suits them: data and loss
MADE_FOR = {
    "bert_tiny": (sentences, []),
    "textcnn": (sentences, []),
    "gpt2_tiny": (lambda data: bytes_of_text(data, 64), []),
    "deeplab_small": (street, ["--loss", "cross-entropy,ignore-index=11"]),
    "espcn_x2": (halved, ["--loss", "mse"]),
    "dscnn_kws": (lambda data: spoken(data, "mfcc"), []),
    **{name: (lambda data: spoken(data, "logmel"), []) for name in ("lstm_kws", "gru_kws", "tcn_kws")},
}


def images(data, shape, n):
    """Real images with labels for an input shape (without the batch axis), scaled to 0..1 or 0..255."""
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


def labelled(shape, classes, n):
    """Noise around one pattern a class, where no data set fits."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, classes, n)
    return (rng.random((classes, *shape), np.float32)[y] + rng.random((n, *shape), np.float32)) / 2, y.astype(np.int32)


def regression(shape, outs, n):
    rng = np.random.default_rng(1)
    x = rng.random((n, *shape), np.float32)
    if [shape] == outs:
        return x, x
    y = np.sin(x.reshape(n, -1)[:, :1] * 6.28)
    return x, *[(y + np.zeros((n, int(np.prod(out))))).reshape(n, *out).astype(np.float32) for out in outs]


def extents(v, dim):
    """Without the batch axis; a symbolic one has the extent that --dim gives it."""
    return tuple(d.dim_value or dim.get(d.dim_param, 0) for d in v.type.tensor_type.shape.dim)[1:]


def outputs_of(path):
    """Float outputs with their extents as ONNX Runtime finds them, exporters leave some open."""
    import onnxruntime
    s = onnxruntime.InferenceSession(path)
    feed = {i.name: np.zeros([d if isinstance(d, int) else DIM.get(d, 1) for d in i.shape],
                             {"tensor(int64)": np.int64, "tensor(int8)": np.int8}.get(i.type, np.float32)) for i in s.get_inputs()}
    return [(o.name, r.shape[1:]) for o, r in zip(s.get_outputs(), s.run(None, feed)) if r.dtype != np.int64]


DIM = {"M1": 8}  # of keras_lstm: the length of a sequence


def plan(path, data):
    """(arrays: the input's and one a target, options, samples a step) for a model."""
    g, name = onnx.load(path).graph, os.path.basename(path).split(".")[0]
    known = {t.name for t in g.initializer}
    ins = [i for i in g.input if i.name not in known]
    shape = extents(ins[0], DIM)
    if len(ins) > 2 or 0 in shape:
        raise LookupError(f"no data here for the inputs {[i.name for i in ins]}")
    outs = outputs_of(path)
    batch = 8 if np.prod(shape) > 10000 else 32
    n = STEPS * batch // PASSES
    symbols = [d.dim_param for i in ins for d in i.type.tensor_type.shape.dim]
    options = [o for k, v in DIM.items() if k in symbols for o in ("--dim", f"{k}={v}")]
    if name in MADE_FOR:
        load, loss = MADE_FOR[name]
        x, y = load(data)
        y = y.astype(np.int32) if y.dtype != np.float32 else y
        return (np.ascontiguousarray(x[:n].reshape(-1, *shape)), np.ascontiguousarray(y[:n])), loss, batch
    found = images(data, shape, n)
    if found and ins[0].type.tensor_type.elem_type == INT8:  # quantised: pixels less 128, as they are
        found = ((found[0].astype(np.int16) - 128).astype(np.int8), found[1])
    if len(ins) == 2 and ins[1].name == "label":
        return found, ["--loss", "graph"], batch
    if found and outs[0][1] in CLASSES:
        return found, [], batch
    if len(outs) == 1 and len(outs[0][1]) == 1 and 1 < outs[0][1][0] <= 12:
        return labelled(shape, outs[0][1][0], n), options, batch
    loss = [o for k in outs for o in ("--loss", f"{k[0]}=mse")]
    return regression(shape, [k[1] for k in outs], n), loss + options, batch


def floats_of(path):
    g = onnx.load(path).graph
    found = {t.name: numpy_helper.to_array(t) for t in g.initializer if t.data_type == 1}
    for n in g.node:
        if n.op_type == "Constant" and n.attribute[0].name == "value":
            found[n.output[0]] = numpy_helper.to_array(n.attribute[0].t)
    return found


def save(d, arrays, scale):
    """Writes the arrays; the trainer's --data."""
    if len(arrays) > 2:
        names = ["input", "target"] + [f"target.output{i}" for i in range(1, len(arrays) - 1)]
        np.savez(f"{d}/data.npz", **dict(zip(names, arrays)))
        return f"npz:{d}/data.npz"
    for k, a in zip("xy", arrays):
        np.save(f"{d}/{k}.npy", a)
    return f"npy:{d}/x.npy,{d}/y.npy{scale}"


def check(intrain, path, data, arith, lr, how):
    arrays, loss, batch = plan(path, data)
    name = os.path.basename(path).split(".")[0]
    scale = {"uint8": ",scale=1/255", "int8": "" if name.endswith("int8") else ",scale=1/64"}.get(str(arrays[0].dtype), "") if name not in PIXELS else ""
    lr = RATES.get(name, lr)
    with tempfile.TemporaryDirectory() as d:
        run = lambda *a: subprocess.run(a, check=True, capture_output=True, text=True)
        report = json.loads(run(intrain, "check", path, "--json", *loss).stdout)
        run(intrain, "train", path, "--arith", arith, "--batch", str(batch), "--lr", lr, *loss, *how, "--data", save(d, arrays, scale),
            "--steps", str(STEPS), "--save", f"{d}/c", "--log", f"{d}/log", "--quiet")
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
    a.add_argument("--interpret", action="store_true", help="run the call records in place of compiled C: the same bits, sooner")
    a.add_argument("files", nargs="*")
    a = a.parse_args()
    failed = 0
    print("| model | loss, first pass | last pass | trained tensors |\n|---|---|---|---|")
    for path in a.files or sorted(glob.glob(f"{a.models}/*.onnx") + glob.glob(f"{a.models}/thirdparty/*.onnx")):
        path = path if os.path.exists(path) else f"{a.models}/{path}"
        try:
            first, last, trained, still = check(a.intrain, path, a.data, a.arith, a.lr, ["--interpret"] if a.interpret else [])
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
