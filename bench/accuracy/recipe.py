#!/usr/bin/env python3
"""Optimizers, schedules, smoothing, decay and accumulation against PyTorch's own.

Trains the MLP 784-64-32-10 for some steps with each recipe below, from the same weights and on the
same samples, in PyTorch float32 and by trainers of --arith float32, int8 and int16, and prints how
far the parameters have moved apart: |ours - PyTorch's| / |PyTorch's - start|, and the losses of the
last steps. float32 must agree to --tolerance (a dead ReLU or a sign of Adam's may amplify a last
bit, so more than rounding is allowed). Needs torch, onnx, numpy.

    python bench/accuracy/recipe.py --intrain build/release/intrain --data DIR [--steps 50] [--only adam]
"""
import argparse, fnmatch, json, math, os, subprocess, sys, tempfile
import numpy as np, onnx, torch, torch.nn as nn, torch.nn.functional as F
from onnx import numpy_helper

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import datasets
from pipeline import order

BATCH, ROWS = 64, 2000


def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def sgd(lr=0.05, **k):
    return lambda p: torch.optim.SGD(p, lr, **k)


def adam(kind=torch.optim.Adam, lr=0.002, **k):
    return lambda p: kind(p, lr, **k)


def cosine(t):
    return (1 + math.cos(math.pi * min(t, 40) / 40)) / 2


# name, the compiler's options, optimizer of PyTorch, and what else differs from the plain recipe
RECIPES = [
    ("sgd", "--optimizer sgd", sgd(), {}),
    ("momentum", "--optimizer sgd,momentum=0.9", sgd(momentum=0.9), {}),
    ("nesterov, decay", "--optimizer sgd,momentum=0.9,nesterov,weight-decay=0.01",
     sgd(momentum=0.9, nesterov=True, weight_decay=0.01), {}),
    ("no-decay", "--optimizer sgd,momentum=0.9,weight-decay=0.05 --no-decay *.bias",
     sgd(momentum=0.9, weight_decay=0.05), {"no_decay": "*.bias"}),
    ("smoothing", "--optimizer sgd,momentum=0.9 --loss cross-entropy,label-smoothing=0.1", sgd(momentum=0.9), {"smoothing": 0.1}),
    ("micro-batch", "--optimizer sgd,momentum=0.9 --micro-batch 16", sgd(momentum=0.9), {"micro": 16}),
    ("cosine, warm-up", "--optimizer sgd,momentum=0.9 --schedule cosine:40 --warmup 5", sgd(momentum=0.9),
     {"rate": lambda t: (t + 1) / 5 if t < 5 else cosine(t)}),
    ("steps of 12", "--optimizer sgd,momentum=0.9 --schedule step:12:0.3", sgd(momentum=0.9), {"rate": lambda t: 0.3 ** (t // 12)}),
    ("linear", "--optimizer sgd,momentum=0.9 --schedule linear:60", sgd(momentum=0.9), {"rate": lambda t: 1 - t / 60}),
    ("adam", "--optimizer adam", adam(), {}),
    ("adam, decay, betas", "--optimizer adam,beta1=0.8,beta2=0.99,eps=0.001,weight-decay=0.01",
     adam(betas=(0.8, 0.99), eps=1e-3, weight_decay=0.01), {}),
    ("adamw", "--optimizer adamw,weight-decay=0.05 --no-decay *.bias", adam(torch.optim.AdamW, weight_decay=0.05),
     {"no_decay": "*.bias"}),
    ("adam, micro-batch", "--optimizer adam --micro-batch 16 --schedule cosine:40 --warmup 5", adam(),
     {"micro": 16, "rate": lambda t: (t + 1) / 5 if t < 5 else cosine(t)}),
    ("rmsprop", "--optimizer rmsprop,weight-decay=0.001", adam(torch.optim.RMSprop, weight_decay=0.001), {}),
    ("rmsprop, momentum", "--optimizer rmsprop,alpha=0.9,momentum=0.5", adam(torch.optim.RMSprop, alpha=0.9, momentum=0.5), {}),
    ("adagrad", "--optimizer adagrad", adam(torch.optim.Adagrad, lr=0.01), {}),
]


def torch_run(start, recipe, x, y, rows, steps):
    _, _, optimizer, more = recipe
    model = make()
    model.load_state_dict(start)
    decayed, free = [], []
    for n, p in model.named_parameters():
        (free if fnmatch.fnmatch(n, more.get("no_decay", "")) else decayed).append(p)
    opt = optimizer([{"params": decayed}] + ([{"params": free, "weight_decay": 0.0}] if free else []))
    base = opt.param_groups[0]["lr"]
    losses, micro = [], more.get("micro", BATCH)
    for t in range(steps):
        for g in opt.param_groups:
            g["lr"] = base * more.get("rate", lambda _: 1)(t)
        opt.zero_grad()
        total = 0
        at = rows[t]
        for k in range(0, len(at), micro):
            part = at[k:k + micro]
            out = model(torch.from_numpy(x[part].astype(np.float32) / 255))
            loss = F.cross_entropy(out, torch.from_numpy(y[part].astype(np.int64)), label_smoothing=more.get("smoothing", 0.0),
                                   reduction="sum") / len(at)
            loss.backward()
            total += loss.item()
        opt.step()
        losses.append(total)
    return {n: p.detach().numpy().astype(np.float64) for n, p in model.named_parameters()}, losses, base


def our_run(a, d, arith, recipe, steps, lr):
    subprocess.run([a.intrain, "compile", f"{d}/m.onnx", "-o", f"{d}/t", "-q", "--arith", arith, "--batch", str(BATCH), "--lr", repr(lr),
                    *recipe[1].split()], check=True)
    subprocess.run(["make", "-s", "-C", f"{d}/t", "CFLAGS=-O2"], check=True)
    subprocess.run([f"{d}/t/trainer", "--data", f"npy:{d}/x.npy,{d}/y.npy,scale=1/255", "--seed", "5", "--steps", str(steps), "--save",
                    f"{d}/c", "--log", f"{d}/log", "--quiet"], check=True)
    subprocess.run([a.intrain, "export", f"{d}/m.onnx", f"{d}/c", "-o", f"{d}/o.onnx", "-q"], check=True)
    log = [json.loads(line) for line in open(f"{d}/log")]
    return ({t.name: numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(f"{d}/o.onnx").graph.initializer},
            [e["loss"] for e in log if e["event"] == "step"])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--intrain", default="build/release/intrain")
    a.add_argument("--data", required=True, help="folder of MNIST's IDX files")
    a.add_argument("--steps", type=int, default=50)
    a.add_argument("--tolerance", type=float, default=1e-4)
    a.add_argument("--only", default="")
    a.add_argument("--arith", nargs="+", default=["float32", "int8", "int16"])
    a = a.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y = datasets.idx(f"{a.data}/train-images-idx3-ubyte")[:ROWS, None], datasets.idx(f"{a.data}/train-labels-idx1-ubyte")[:ROWS]
    epochs = [order(ROWS, 5, e) for e in range(a.steps * BATCH // ROWS + 1)]
    rows = [o[k:k + BATCH] for o in epochs for k in range(0, ROWS, BATCH)]  # the last of an epoch is short
    start, bad = make().state_dict(), 0
    model = make()
    model.load_state_dict(start)
    print("| recipe | PyTorch's last losses | " + " | ".join(f"{k}: apart, losses" for k in a.arith) + " |")
    print("|---" * (2 + len(a.arith)) + "|")
    with tempfile.TemporaryDirectory() as d:
        torch.onnx.export(model, torch.zeros(2, 1, 28, 28), f"{d}/m.onnx", input_names=["input"], output_names=["output"],
                          dynamic_axes={"input": {0: "b"}, "output": {0: "b"}}, opset_version=17, dynamo=False)
        np.save(f"{d}/x.npy", x), np.save(f"{d}/y.npy", y)
        for recipe in RECIPES:
            if a.only not in recipe[0]:
                continue
            want, losses, lr = torch_run(start, recipe, x, y, rows, a.steps)
            moved = math.sqrt(sum(np.sum((want[n] - start[n].numpy()) ** 2) for n in want))
            cells = []
            for arith in a.arith:
                ours, our_losses = our_run(a, d, arith, recipe, a.steps, lr)
                apart = math.sqrt(sum(np.sum((ours[n] - want[n]) ** 2) for n in want)) / moved
                wrong = arith == "float32" and not apart < a.tolerance
                bad += wrong
                cells.append(f"{apart:.1e}, {np.mean(our_losses[-10:]):.4f}{' **too far**' if wrong else ''}")
            print(f"| {recipe[0]} | {np.mean(losses[-10:]):.4f} | " + " | ".join(cells) + " |", flush=True)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
