#!/usr/bin/env python3
"""Training in integers beside PyTorch float32: loss curves and test accuracy.

Both sides start from the same weights (exported to ONNX in training form) and see the same samples
in the same order with the same augmentation, at the same hyper-parameters. Every finished run is a
line of OUT/results.jsonl, and is not repeated unless --again is given; runs in float32 of different
seeds say how far apart two trainings are anyway, and the run "nudged" how far apart two are that only
rounding tells apart: PyTorch float32 from weights one unit of the last place up. Needs torch, onnx, numpy.

    python bench/accuracy/curves.py --intrain build/release/intrain --data DIR --out OUT
        --model resnet20 --epochs 10 --seeds 0 1 2 --runs int8 bits7 nearest

DIR holds MNIST's files, CIFAR-10's binary records or FSDD's arrays. A run is "nudged", a name below or
NAME=OPTIONS of compile. Ends with 1 if int8 misses its bar.

Distances of losses, means over a tenth of an epoch: "apart" is at each time the largest distance of a
run from float32 of its seed, for float32 the largest between seeds; "share below" is the part of the
time at which the first is not above the second. Where float32's few curves happen to cross, their largest
distance is 0 and says nothing of how far two trainings are apart. So "share, half an epoch" is the same
of root mean squares: over the seeds, over all pairs of seeds, and over half an epoch around each time.
"drift" is the mean distance with its sign, with its standard error over the seeds.
"""
import argparse
import datetime
import fcntl
import itertools
import json
import math
import os
import shlex
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import datasets
import pipeline
import trainer
import zoo

RECIPES = {  # the bar: points of test accuracy that may be lost
    "mlp": dict(dataset="mnist", epochs=5, batch=64, lr=0.02, bar=0.2),
    "lenet": dict(dataset="mnist", epochs=10, batch=64, lr=0.02, schedule="cosine", bar=0.2),
    "resnet20": dict(dataset="cifar10", epochs=10, lr=0.1, bar=0.5),
    "resnet18": dict(dataset="cifar10", epochs=3, lr=0.1, bar=0.5),
    "resnet18_w16": dict(dataset="cifar10", epochs=3, lr=0.1, bar=0.5),
    "mobilenetv2": dict(dataset="cifar10", epochs=3, lr=0.05, bar=0.7),
    "mobilenetv2_w05": dict(dataset="cifar10", epochs=3, lr=0.05, bar=0.7),
    "vgg11bn_w16": dict(dataset="cifar10", epochs=3, lr=0.05, bar=0.7),
    "dscnn": dict(dataset="fsdd", epochs=10, batch=64, lr=0.05, weight_decay=1e-4, schedule="cosine", bar=0.7),
}
PICTURES = dict(batch=128, weight_decay=1e-4, schedule="cosine", augment="crop4:flip")
DEFAULTS = dict(momentum=0.9, weight_decay=0.0, schedule="constant", warmup=0, augment="", limit=0, steps=0)

RUNS = {"int8": "", "int16": "--arith int16", "float32": "--arith float32",
        **{f"bits{n}": f"--bits {n}" for n in range(2, 17)},
        "nearest": "--rounding forward=nearest,backward=nearest,update=nearest",
        "backward-nearest": "--rounding backward=nearest", "update-nearest": "--rounding update=nearest",
        "forward-stochastic": "--rounding forward=stochastic", "bitlength": "--exponent bitlength"}
NUDGED = "nudged"  # a run of PyTorch's


class Store:
    """Finished runs, a line each; several processes may append."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "results.jsonl")

    def find(self, key):
        found = None
        if os.path.exists(self.path):
            for line in trainer.events(self.path):
                found = line if line["key"] == key else found
        return found

    def add(self, key, result):
        line = {"key": key, **result, "date": datetime.date.today().isoformat()}
        with open(self.path, "a") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            f.write(json.dumps(line, separators=(",", ":")) + "\n")
        return line


def steps_of(recipe, rows):
    """Steps an epoch, and in all."""
    epoch = -(-rows // recipe["batch"])
    return epoch, recipe["steps"] or epoch * recipe["epochs"]


def rate(recipe, step, total):
    lr = recipe["lr"]
    if step < recipe["warmup"]:
        return lr * (step + 1) / recipe["warmup"]
    return lr * (1 + math.cos(math.pi * step / total)) / 2 if recipe["schedule"] == "cosine" else lr


def crop_flip(augment):
    words = augment.split(":") if augment else []
    return next((int(w[4:]) for w in words if w.startswith("crop")), 0), "flip" in words


def torch_accuracy(model, data, samples):
    model.eval()
    right, x, y = 0, *(a[:samples or None] for a in data.test)
    with torch.no_grad():
        for at in range(0, len(y), 500):
            scores = model(torch.from_numpy(data.to_float(x[at:at + 500])))
            right += int((scores.argmax(1).numpy() == y[at:at + 500]).sum())
    model.train()
    return right / len(y)


def samples(recipe, images, labels, seed):
    """The batches of all epochs, as a trainer sees them."""
    pad, flip = crop_flip(recipe["augment"])
    for epoch in itertools.count():
        yield from pipeline.batches(images, labels, seed, epoch, recipe["batch"], pad, flip)


def nudge(model):
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.nextafter(p, torch.full_like(p, math.inf)))


def torch_run(a, recipe, data, seed, nudged=False, layout=torch.channels_last):
    model = zoo.make(a.model, seed).train().to(memory_format=layout)
    if nudged:
        nudge(model)
    images, labels = (v[:recipe["limit"] or None] for v in data.train)
    epoch_steps, total = steps_of(recipe, len(labels))
    sgd = torch.optim.SGD(model.parameters(), recipe["lr"], recipe["momentum"], weight_decay=recipe["weight_decay"])
    losses, evals, start = [], [], time.time()
    for x, y in itertools.islice(samples(recipe, images, labels, seed), total):
        sgd.param_groups[0]["lr"] = rate(recipe, len(losses), total)
        loss = F.cross_entropy(model(torch.from_numpy(data.to_float(x))), torch.from_numpy(y.astype(np.int64)))
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(round(loss.item(), 6))
        step = len(losses)
        if step % epoch_steps == 0 or step == total:
            evals.append([step, torch_accuracy(model, data, a.test_limit)])
            say(a, f"PyTorch seed {seed}", step, total, losses[-epoch_steps // 10:], evals[-1][1], start)
    return {"losses": losses, "evals": evals, "seconds": time.time() - start, "version": f"torch {torch.__version__}"}


def say(a, who, step, total, losses, accuracy, start):
    if not a.quiet:
        print(f"{a.model} {who}: step {step} of {total}, loss {np.mean(losses):.4f}, accuracy {100 * accuracy:.2f} %, "
              f"{time.time() - start:.0f} s", file=sys.stderr, flush=True)


def intrain_run(a, recipe, data, seed, options):
    epoch_steps, total = steps_of(recipe, len(data.train[1][:recipe["limit"] or None]))
    decay = f",weight-decay={recipe['weight_decay']:.10g}" if recipe["weight_decay"] else ""
    schedule = f"cosine:{total}" if recipe["schedule"] == "cosine" else recipe["schedule"]
    train = data.spec(a.out, "train", recipe["limit"]) + (f",augment={recipe['augment']}" if recipe["augment"] else "")
    with tempfile.TemporaryDirectory(dir=a.out) as work:
        model, log = os.path.join(work, "m.onnx"), os.path.join(work, "log")
        zoo.export(zoo.make(a.model, seed), zoo.NETWORKS[a.model][1], model)
        program = trainer.compiled(a.intrain, model, os.path.join(work, "t"), [
            "--batch", str(recipe["batch"]), "--lr", f"{recipe['lr']:.10g}", "--schedule", schedule,
            "--warmup", str(recipe["warmup"]), "--seed", str(seed),
            "--optimizer", f"sgd,momentum={recipe['momentum']:.10g}{decay}", *shlex.split(options)])
        start = time.time()
        trainer.run(program, "--data", train, "--eval", data.spec(a.out, "test", a.test_limit), "--steps", str(total),
                    "--eval-every", str(epoch_steps), "--threads", str(a.threads), "--log", log, "--quiet")
        seconds = time.time() - start
        found = trainer.events(log)
    return {"losses": [e["loss"] for e in found if e["event"] == "step"],
            "evals": [[e["step"], e["accuracy"]] for e in found if e["event"] == "eval"],
            "digest": found[-1].get("digest"), "seconds": seconds, "version": trainer.version(a.intrain)}


def result(a, store, recipe, data, side, seed, options=None):
    """From the store, or from a run now; None where only the other side is wanted, or it is refused."""
    key = {"model": a.model, "side": side, "seed": seed, "options": options, "test_limit": a.test_limit, **recipe}
    key.pop("bar")
    done = store.find(key)
    wanted = a.only in (None, side)
    if not wanted or (done and not (a.again and side == "intrain")):
        return done
    try:
        made = (torch_run(a, recipe, data, seed, options == NUDGED) if side == "torch"
                else intrain_run(a, recipe, data, seed, options))
    except trainer.Refused as e:
        print(f"{a.model}, {options or 'int8'}: {e}", file=sys.stderr, flush=True)
        return None
    if side == "intrain":
        say(a, f"{options or 'int8'} seed {seed}", len(made["losses"]), len(made["losses"]), made["losses"][-50:],
            made["evals"][-1][1], time.time() - made["seconds"])
    return store.add(key, made)


def smooth(losses, window):
    """Means of consecutive stretches of a tenth of an epoch."""
    whole = len(losses) // window * window
    return np.array(losses[:whole]).reshape(-1, window).mean(1)


def spread(curves):
    """Over time, the largest distance between two curves."""
    return np.max(curves, 0) - np.min(curves, 0)


def around(values, count):
    """Means of `count` values around each, of fewer at the ends."""
    ones = np.ones(count)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def typical(distances):
    """Over time, the root mean square of distances over curves and half an epoch, five stretches."""
    return np.sqrt(around(np.mean(np.square(distances), 0), 5))


def last(run):
    return 100 * run["evals"][-1][1]


def judge(floats, ours, window, bar):
    """A run's figures against float32's of the same seeds; what bounds them is None with one seed only."""
    seeds = [s for s in ours if s in floats]
    curves = {s: smooth(f["losses"], window) for s, f in floats.items()}
    off = np.array([smooth(ours[s]["losses"], window) - curves[s] for s in seeds])
    gap, drifts = np.max(np.abs(off), 0), off.mean(1)
    scores = [last(f) for f in floats.values()]
    lost = float(np.mean([last(ours[s]) - last(floats[s]) for s in seeds]))
    found = {"accuracy": [last(ours[s]) for s in seeds], "difference": lost,
             "within": bool(-lost <= max(bar, max(scores) - min(scores)) + 1e-9),
             "gap": [float(gap.mean()), float(gap.max())], "spread": None, "below": None, "close": None,
             "typical": None, "drift": [float(drifts.mean()), None]}
    if len(seeds) > 1:
        found["drift"][1] = float(drifts.std(ddof=1) / math.sqrt(len(seeds)))
    if len(floats) > 1:
        apart = spread(list(curves.values()))
        pairs = [x - y for x, y in itertools.combinations(curves.values(), 2)]
        found.update(spread=[float(apart.mean()), float(apart.max())], below=float(np.mean(gap <= apart)),
                     close=bool(gap.mean() <= apart.mean() and gap.max() <= apart.max()),
                     typical=float(np.mean(typical(off) <= typical(pairs))))
    return found


def pair(values):
    return "" if values is None else f"{values[0]:.4f} / {values[1]:.4f}"


def mean_spread(values):
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values):.2f}" if len(values) > 1 else "")


def yes(value):
    return "" if value is None else "yes" if value else "**no**"


def percent(share):
    return "" if share is None else f"{100 * share:.0f} %"


def row(a, name, seeds, j):
    drift = f"{j['drift'][0]:+.4f}" + (f" ± {j['drift'][1]:.4f}" if j["drift"][1] is not None else "")
    cells = (a.model, name, " ".join(map(str, seeds)), mean_spread(j["accuracy"]), f"{j['difference']:+.2f}",
             yes(j["within"]), pair(j["gap"]), percent(j["below"]), yes(j["close"]), percent(j["typical"]), drift)
    return f"| {' | '.join(cells)} |"


def table(a, recipe, floats, runs, window):
    """Prints the table; whether int8 keeps to its bar (float32 alone: it does)."""
    apart = spread([smooth(f["losses"], window) for f in floats.values()]) if len(floats) > 1 else None
    seeds, scores = " ".join(map(str, floats)), mean_spread([last(f) for f in floats.values()])
    print("| model | run | seeds | test accuracy % | to float32 | within bar | losses apart, mean / max | share below |"
          " close | share, half an epoch | drift |\n|---|---|---|---|---|---|---|---|---|---|---|")
    print(f"| {a.model} | PyTorch float32 | {seeds} | {scores} | | | "
          f"{'' if apart is None else pair([apart.mean(), apart.max()]) + ' (seeds)'} | | | | |")
    good, report = True, {}
    for name, ours in runs.items():
        if not set(ours) & set(floats):
            continue
        j = report[name] = judge(floats, ours, window, recipe["bar"])
        print(row(a, name, [s for s in ours if s in floats], j), flush=True)
        if name == "int8":
            good = j["within"] and j["close"] is not False
    return good, report


def check(a, recipe, data):
    """The two sides' first steps in float32: equal samples give equal losses.

    The rate is low, for at the recipe's own even PyTorch float32 leaves float64 after two steps.
    """
    recipe = dict(recipe, steps=recipe["steps"] or 20, lr=recipe["lr"] / 100)
    theirs = torch_run(a, recipe, data, 3, layout=torch.contiguous_format)["losses"]
    ours = intrain_run(a, recipe, data, 3, "--arith float32")["losses"]
    apart = [abs(x - y) / y for x, y in zip(ours, theirs)]
    print(f"{a.model}: losses {theirs[0]} to {theirs[-1]} and {ours[0]} to {ours[-1]}; "
          f"the worst of {len(apart)} is {max(apart):.1e} apart")
    return max(apart) < 1e-3


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--intrain", default="build/release/intrain")
    p.add_argument("--data", required=True, help="folder of the data set")
    p.add_argument("--out", required=True, help="folder for results.jsonl")
    p.add_argument("--model", choices=sorted(RECIPES), default="resnet20")
    p.add_argument("--runs", nargs="*", default=["int8"], metavar="RUN", help=f"{', '.join((*RUNS, NUDGED))} or NAME=OPTIONS")
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for name, kind in (("epochs", int), ("batch", int), ("lr", float), ("momentum", float), ("weight-decay", float),
                       ("warmup", int), ("limit", int), ("steps", int)):
        p.add_argument(f"--{name}", type=kind)
    p.add_argument("--schedule", choices=["constant", "cosine"], help="cosine ends with the run")
    p.add_argument("--augment", help="cropN:flip, or nothing")
    p.add_argument("--test-limit", type=int, default=0, help="test samples to use")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--only", choices=["torch", "intrain"], help="run this side alone; take the other from OUT")
    p.add_argument("--again", action="store_true", help="repeat intrain's runs that are in OUT")
    p.add_argument("--check", action="store_true", help="hold the first steps of both float32 sides against each other")
    p.add_argument("--quiet", action="store_true")
    return p.parse_args()


def main():
    a = arguments()
    a.intrain, a.out = trainer.absolute(a.intrain), os.path.abspath(a.out)
    os.makedirs(a.out, exist_ok=True)
    torch.set_num_threads(a.threads)
    own = RECIPES[a.model]
    recipe = {**DEFAULTS, **(PICTURES if own["dataset"] == "cifar10" else {}), **own}
    recipe.update({k: getattr(a, k) for k in recipe if getattr(a, k, None) is not None})
    data = datasets.DATASETS[recipe["dataset"]](a.data)
    recipe["dataset"] = data.name
    if a.check:
        sys.exit(0 if check(a, recipe, data) else 1)
    options = dict(r.split("=", 1) if "=" in r else (r, RUNS[r]) for r in a.runs if r != NUDGED)
    store, floats, runs = Store(a.out), {}, {name: {} for name in (NUDGED, *options)}
    for seed in a.seeds:
        found = {None: result(a, store, recipe, data, "torch", seed)}
        if NUDGED in a.runs:
            found[NUDGED] = result(a, store, recipe, data, "torch", seed, NUDGED)
        found.update({n: result(a, store, recipe, data, "intrain", seed, o) for n, o in options.items()})
        for name, run in found.items():
            if run:
                (floats if name is None else runs[name])[seed] = run
    if not floats:
        sys.exit(f"{a.out}: no float32 run to compare with")
    epoch_steps, _ = steps_of(recipe, len(data.train[1][:recipe["limit"] or None]))
    good, report = table(a, recipe, floats, runs, max(1, epoch_steps // 10))
    with open(os.path.join(a.out, f"{a.model}.json"), "w") as f:
        scores = [last(run) for run in floats.values()]
        json.dump({"recipe": recipe, "seeds": a.seeds, "float32": scores, "runs": report}, f, indent=1)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
