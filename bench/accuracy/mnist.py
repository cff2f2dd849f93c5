#!/usr/bin/env python3
"""int8 against PyTorch float32 on MNIST: same weights, sample order and hyper-parameters.

Trains LeNet-5 (ReLU, max-pooling) or the MLP 784-512-256-10 for some epochs at batch 64, SGD with
momentum 0.9 and learning rate 0.02, once in PyTorch and once by a trainer that intrain wrote, and
prints one Markdown row a seed and the means. Needs torch, onnx, numpy.

    python bench/accuracy/mnist.py --intrain build/release/intrain --data DIR [--model lenet|mlp]
        [--seeds 0 1 2] [--epochs 5] [--compile-option=--rounding=...]

DIR holds MNIST's four IDX files, gzipped or not.
"""
import argparse, gzip, json, os, subprocess, sys, tempfile, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F


def idx(path):
    for p, op in ((path, open), (path + ".gz", gzip.open)):
        if os.path.exists(p):
            raw = op(p, "rb").read()
            dims = raw[3]
            shape = np.frombuffer(raw, ">i4", dims, 4)
            return np.frombuffer(raw, np.uint8, offset=4 + 4 * dims).reshape(shape)
    sys.exit(f"{path}: not there")


def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                         nn.Linear(84, 10))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def train_torch(model, x, y, test, lr, momentum, batch):
    opt = torch.optim.SGD(model.parameters(), lr, momentum)
    losses = []
    for at in range(0, len(x), batch):
        xb = torch.from_numpy(x[at:at + batch].astype(np.float32) / 255)
        loss = F.cross_entropy(model(xb), torch.from_numpy(y[at:at + batch].astype(np.int64)))
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    with torch.no_grad():
        out = torch.cat([model(torch.from_numpy(b.astype(np.float32) / 255)) for b in np.split(test[0], 10)])
    return (out.argmax(1).numpy() == test[1]).mean(), losses


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--intrain", default="build/release/intrain")
    a.add_argument("--data", required=True)
    a.add_argument("--model", choices=["lenet", "mlp"], default="lenet")
    a.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    a.add_argument("--epochs", type=int, default=5)
    a.add_argument("--limit", type=int, default=60000)
    a.add_argument("--arith", default="int8")
    a.add_argument("--compile-option", action="append", default=[])
    a = a.parse_args()
    torch.set_num_threads(1)
    train = [idx(f"{a.data}/train-{n}-ubyte")[:a.limit] for n in ("images-idx3", "labels-idx1")]
    test = [idx(f"{a.data}/t10k-{n}-ubyte") for n in ("images-idx3", "labels-idx1")]
    train[0], test[0] = train[0][:, None], test[0][:, None]
    rows = []
    print(f"| model | seed | PyTorch float32 | intrain {a.arith} | difference | last 500 losses |")
    print("|---|---|---|---|---|---|")
    for seed in a.seeds:
        torch.manual_seed(seed)
        model = {"lenet": lenet, "mlp": mlp}[a.model]()
        order = np.concatenate([np.random.default_rng(1000 * seed + e).permutation(len(train[0])) for e in range(a.epochs)])
        x, y = train[0][order], train[1][order]
        with tempfile.TemporaryDirectory() as d:
            torch.onnx.export(model, torch.zeros(2, 1, 28, 28), f"{d}/m.onnx", input_names=["input"], output_names=["output"],
                              dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}}, opset_version=17, dynamo=False)
            np.save(f"{d}/x.npy", x), np.save(f"{d}/y.npy", y)
            np.save(f"{d}/tx.npy", test[0]), np.save(f"{d}/ty.npy", test[1])
            subprocess.run([a.intrain, "compile", f"{d}/m.onnx", "-o", f"{d}/t", "--arith", a.arith, "--batch", "64", "--lr", "0.02",
                            "--optimizer", "sgd,momentum=0.9", "--seed", str(seed), *a.compile_option], check=True)
            subprocess.run(["make", "-s", "-C", f"{d}/t"], check=True)
            start = time.time()
            subprocess.run([f"{d}/t/trainer", "--data", f"npy:{d}/x.npy,{d}/y.npy,scale=1/255,shuffle=0", "--eval",
                            f"npy:{d}/tx.npy,{d}/ty.npy", "--epochs", "1", "--log", f"{d}/log", "--quiet"], check=True)
            seconds = time.time() - start
            events = [json.loads(l) for l in open(f"{d}/log")]
        ours = [e for e in events if e["event"] == "eval"][-1]["accuracy"]
        our_loss = np.mean([e["loss"] for e in events if e["event"] == "step"][-500:])
        theirs, losses = train_torch(model, x, y, test, 0.02, 0.9, 64)
        rows.append((theirs, ours))
        print(f"| {a.model} | {seed} | {100 * theirs:.2f} | {100 * ours:.2f} | {100 * (ours - theirs):+.2f} | "
              f"{np.mean(losses[-500:]):.4f} / {our_loss:.4f} | ({seconds:.0f} s)", flush=True)
    r = 100 * np.array(rows)
    print(f"| {a.model} | mean | {r[:, 0].mean():.2f} ± {r[:, 0].std():.2f} | {r[:, 1].mean():.2f} ± {r[:, 1].std():.2f} | "
          f"{(r[:, 1] - r[:, 0]).mean():+.2f} | |")


if __name__ == "__main__":
    main()
