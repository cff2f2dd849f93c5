#!/usr/bin/env python3
"""int8 against PyTorch float32 on MNIST: same weights, sample order and hyper-parameters.

Trains LeNet-5 (ReLU, max-pooling) or the MLP 784-512-256-10 for some epochs at batch 64, SGD with
momentum 0.9 and learning rate 0.02, once in PyTorch and once by a trainer that intrain wrote, and
prints one Markdown row a seed and the means. Needs torch, onnx, numpy.

    python bench/accuracy/mnist.py --intrain build/release/intrain --data DIR [--model lenet|mlp]
        [--seeds 0 1 2] [--epochs 5] [--compile-option=--rounding=...]

DIR holds MNIST's four IDX files, gzipped or not.
"""
import argparse, json, os, subprocess, sys, tempfile, time
import numpy as np, torch, torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import datasets, zoo


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
    data = datasets.mnist(a.data)
    train, test = [v[:a.limit] for v in data.train], data.test
    rows = []
    print(f"| model | seed | PyTorch float32 | intrain {a.arith} | difference | last 500 losses |")
    print("|---|---|---|---|---|---|")
    for seed in a.seeds:
        model = zoo.make(a.model, seed)
        order = np.concatenate([np.random.default_rng(1000 * seed + e).permutation(len(train[0])) for e in range(a.epochs)])
        x, y = train[0][order], train[1][order]
        with tempfile.TemporaryDirectory() as d:
            zoo.export(model, (1, 28, 28), f"{d}/m.onnx")
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
