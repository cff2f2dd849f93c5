#!/usr/bin/env python3
"""The float32 trainer's trajectory against PyTorch's: same weights, same sample order.

Trains LeNet-5 for some steps in PyTorch float32, PyTorch float64 and intrain --arith float32, and
prints the relative L2 distance of the parameters: after 5 steps (the worst tensor) and after 200.
Needs torch, onnx, numpy.

    python bench/accuracy/trajectory.py --intrain build/release/intrain --data DIR
"""
import argparse, os, subprocess, sys, tempfile
import numpy as np, onnx, torch, torch.nn.functional as F
from onnx import numpy_helper

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import datasets, zoo


def torch_run(name, seed, x, y, steps, dtype):
    model = zoo.make(name, seed).to(dtype)
    opt = torch.optim.SGD(model.parameters(), 0.02, 0.9)
    for k in range(steps):
        xb, yb = x[64 * k:64 * k + 64], y[64 * k:64 * k + 64]
        loss = F.cross_entropy(model(torch.from_numpy(xb).to(dtype)), torch.from_numpy(yb))
        opt.zero_grad()
        loss.backward()
        opt.step()
    return {n: p.detach().double().numpy() for n, p in model.named_parameters()}


def distance(a, b):
    each = {n: np.linalg.norm(a[n] - b[n]) / np.linalg.norm(b[n]) for n in b}
    whole = np.sqrt(sum(np.sum((a[n] - b[n]) ** 2) for n in b) / sum(np.sum(b[n] ** 2) for n in b))
    return max(each.values()), whole


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--intrain", default="build/release/intrain")
    a.add_argument("--data", required=True)
    a.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    a = a.parse_args()
    x, y = (v[:12800] for v in datasets.mnist(a.data).train)
    x, y = x.astype(np.float32) / 255, y.astype(np.int64)
    print("| model | seed | steps | ours to PyTorch float32 | PyTorch float32 to float64 | worst tensor, ours to PyTorch float32 |")
    print("|---|---|---|---|---|---|")
    bad = 0
    for name in ("mlp", "lenet"):
        for seed in a.seeds:
            with tempfile.TemporaryDirectory() as d:
                zoo.export(zoo.make(name, seed), (1, 28, 28), f"{d}/m.onnx")
                np.save(f"{d}/x.npy", x), np.save(f"{d}/y.npy", y.astype(np.int32))
                subprocess.run([a.intrain, "compile", f"{d}/m.onnx", "-o", f"{d}/t", "--arith", "float32", "--batch", "64", "--lr", "0.02"], check=True)
                subprocess.run(["make", "-s", "-C", f"{d}/t"], check=True)
                for steps in (1, 5, 200):
                    subprocess.run([f"{d}/t/trainer", "--data", f"npy:{d}/x.npy,{d}/y.npy,shuffle=0", "--steps", str(steps), "--save", f"{d}/c", "--quiet"], check=True)
                    subprocess.run([a.intrain, "export", f"{d}/m.onnx", f"{d}/c", "-o", f"{d}/o.onnx"], check=True)
                    ours = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(f"{d}/o.onnx").graph.initializer}
                    f32 = torch_run(name, seed, x, y, steps, torch.float32)
                    f64 = torch_run(name, seed, x, y, steps, torch.float64)
                    worst, whole = distance(ours, f32)
                    _, between = distance(f32, f64)
                    ok = worst < 1e-4 if steps <= 5 else whole <= 2 * between
                    bad += not ok
                    print(f"| {name} | {seed} | {steps} | {whole:.2e} | {between:.2e} | {worst:.2e} |{'' if ok else ' **too far**'}", flush=True)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
