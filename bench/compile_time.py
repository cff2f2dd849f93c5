#!/usr/bin/env python3
"""How long `intrain compile` takes, and a C compiler with what it writes.

Compiles full-width ResNet-18 (bar: 1 s), generated graphs of 500 to 4,000 nodes (bar: 3 s for 1,000,
and linear: a node costs at most 1.5 times as much in the largest as in the 1,000), and every model
of --models (bar: `make CFLAGS=-O2` in 20 s, one job). Seconds are processor time, which a busy
machine changes least; the best of --tries. Ends with 1 if a bar is missed. Needs onnx, numpy, torch.

    python bench/compile_time.py --intrain build/release/intrain [--models DIR]
"""
import argparse
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper

import trainer
import zoo

LOSSES = ([], ["--loss", "mse"], ["--loss", "graph"])
CHANNELS = 4
LINEAR = 1.5


def seconds(*command):
    """Processor seconds of a command and all it starts."""
    before = trainer.processor_seconds()
    trainer.run(*command)
    return trainer.processor_seconds() - before


def generated(count, path):
    """A chain of residual blocks (Conv, Relu, Add) with `count` nodes in all."""
    rng = np.random.default_rng(0)
    nodes, weights, x = [], [], "input"

    def weight(name, *shape):
        weights.append(numpy_helper.from_array((0.1 * rng.standard_normal(shape)).astype(np.float32), name))
        return name

    for k in range((count - 3) // 3):
        w = weight(f"w{k}", CHANNELS, CHANNELS, 3, 3)
        nodes += [helper.make_node("Conv", [x, w], [f"c{k}"], pads=[1, 1, 1, 1]),
                  helper.make_node("Relu", [f"c{k}"], [f"r{k}"]),
                  helper.make_node("Add", [f"r{k}", x], [f"a{k}"])]
        x = f"a{k}"
    nodes += [helper.make_node("GlobalAveragePool", [x], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
              helper.make_node("Gemm", ["f", weight("w", 10, CHANNELS)], ["output"], transB=1)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "chain", [value("input", 1, ["batch", CHANNELS, 8, 8])],
                              [value("output", 1, ["batch", 10])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return len(nodes)


def compiling(a, model, work, loss=()):
    """The best of some tries; the last one's directory stays."""
    return min(seconds(a.intrain, "compile", model, "-o", os.path.join(work, "t"), "-q", *loss) for _ in range(a.tries))


def loss_for(a, model):
    """The options that a model needs, as `check` says."""
    for loss in LOSSES:
        if subprocess.run([a.intrain, "check", model, "-q", *loss], capture_output=True).returncode == 0:
            return loss
    return LOSSES[0]


class Report:
    def __init__(self):
        self.good = True

    def row(self, *cells, ok=True):
        self.good = self.good and ok
        print(f"| {' | '.join(cells)} |{'' if ok else ' **missed**'}", flush=True)

    def attempt(self, name, measure):
        try:
            return measure()
        except trainer.Refused as e:
            self.row(name, "", str(e).split(".onnx: ")[-1], "")
            return None


def compile_table(a, work, report):
    print("| graph | nodes | compile s | ms a node |\n|---|---|---|---|")
    model = os.path.join(work, "m.onnx")
    zoo.export(zoo.make("resnet18"), zoo.NETWORKS["resnet18"][1], model)
    took = report.attempt("ResNet-18", lambda: compiling(a, model, work))
    if took is not None:
        nodes = len(onnx.load(model).graph.node)
        report.row("ResNet-18, full width", str(nodes), f"{took:.2f}", f"{1e3 * took / nodes:.2f}", ok=took < 1)
    per_node = {}
    for count in a.nodes:
        nodes = generated(count, model)
        took = report.attempt(f"residual chain of {nodes}", lambda: compiling(a, model, work))
        if took is not None:
            per_node[count] = took / nodes
            limit = LINEAR * per_node.get(1000, per_node[count])
            report.row("residual chain", str(nodes), f"{took:.2f}", f"{1e3 * took / nodes:.2f}",
                       ok=(count != 1000 or took < 3) and per_node[count] <= limit)


def build_table(a, work, report):
    print("\n| model | compile s | `make CFLAGS=-O2` s | lines of C |\n|---|---|---|---|")
    for model in sorted(glob.glob(os.path.join(a.models, "**", "*.onnx"), recursive=True)):
        name = os.path.relpath(model, a.models)
        with tempfile.TemporaryDirectory(dir=work) as folder:
            took = report.attempt(name, lambda: compiling(a, model, folder, loss_for(a, model)))
            if took is None:
                continue
            out = os.path.join(folder, "t")
            built = report.attempt(name, lambda: seconds("make", "-s", "-C", out, "CFLAGS=-O2"))
            lines = sum(text.count(b"\n") for text in (open(f, "rb").read() for f in glob.glob(f"{out}/*.c")))
            if built is not None:
                report.row(name, f"{took:.2f}", f"{built:.1f}", str(lines), ok=built < 20)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--intrain", default="build/release/intrain")
    p.add_argument("--models", help="folder of ONNX models to build")
    p.add_argument("--nodes", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    p.add_argument("--tries", type=int, default=3)
    a = p.parse_args()
    a.intrain = trainer.absolute(a.intrain)
    report = Report()
    with tempfile.TemporaryDirectory() as work:
        compile_table(a, work, report)
        if a.models:
            build_table(a, work, report)
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
