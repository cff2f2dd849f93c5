#!/usr/bin/env python3
"""The exported model in ONNX Runtime against the trainer's own evaluation, on MNIST's test set.

Trains MODEL, exports the checkpoint, checks that the result is a model that can be trained again,
and evaluates it with ONNX Runtime on the same images. Prints a Markdown row for each arithmetic;
ends with 1 if a pair of accuracies is further apart than --limit points. Needs numpy, onnxruntime.

    python bench/accuracy/export.py --intrain build/release/intrain --data DIR [--epochs 1]
        [--model examples/lenet5.onnx] [--arith int8 int16 float32] [--limit 0.2]

DIR holds MNIST's four IDX files, gzipped or not.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import datasets

FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def unpacked(folder, name, work):
    path = os.path.join(folder, name)
    if os.path.exists(path):
        return path
    out = os.path.join(work, name)
    with open(out, "wb") as f:
        f.write(datasets.opened(path))
    return out


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: ended with {done.returncode}\n{done.stdout}{done.stderr}")


def train(a, arith, files, work):
    """The trainer's last accuracy, and the exported model."""
    log, checkpoint, out = (os.path.join(work, f"{arith}.{end}") for end in ("jsonl", "ckpt", "onnx"))
    run(a.intrain, "train", a.model, "--arith", arith, "--batch", str(a.batch), "--lr", a.lr,
        "--optimizer", "sgd,momentum=0.9", "--data", f"idx:{files[0]},{files[1]},scale=1/255",
        "--eval", f"idx:{files[2]},{files[3]}", "--epochs", str(a.epochs), "--save", checkpoint,
        "--log", log, "--log-every", "100", "-q")
    evals = [e for e in map(json.loads, open(log)) if e["event"] == "eval"]
    run(a.intrain, "export", a.model, checkpoint, "-o", out, "-q")
    run(a.intrain, "check", out)
    return evals[-1]["accuracy"], out


def runtime_accuracy(model, images, labels):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()[0]
    right = 0
    for at in range(0, len(labels), 1000):
        x = (images[at:at + 1000] / np.float32(255)).astype(np.float32)
        x = x.reshape([len(x)] + takes.shape[1:])
        scores = session.run(None, {takes.name: x})[0]
        right += int((scores.argmax(1) == labels[at:at + 1000]).sum())
    return right / len(labels)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--intrain", default="build/release/intrain")
    a.add_argument("--data", required=True)
    a.add_argument("--model", default="examples/lenet5.onnx")
    a.add_argument("--arith", nargs="+", default=["int8"])
    a.add_argument("--epochs", type=int, default=1)
    a.add_argument("--batch", type=int, default=64)
    a.add_argument("--lr", default="0.02")
    a.add_argument("--limit", type=float, default=0.2, help="points that may lie between the two")
    a = a.parse_args()
    a.intrain = os.path.abspath(a.intrain)
    worst = 0.0
    print("| model | arithmetic | trainer's accuracy % | ONNX Runtime % | apart |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        files = [unpacked(a.data, name, work) for name in FILES]
        images, labels = datasets.idx(files[2]), datasets.idx(files[3])
        for arith in a.arith:
            own, model = train(a, arith, files, work)
            theirs = runtime_accuracy(model, images, labels)
            apart = 100 * abs(own - theirs)
            worst = max(worst, apart)
            print(f"| {os.path.basename(a.model)} | {arith} | {100 * own:.2f} | {100 * theirs:.2f} | {apart:.2f} |",
                  flush=True)
    if worst > a.limit + 1e-9:
        sys.exit(1)


if __name__ == "__main__":
    main()
