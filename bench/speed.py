#!/usr/bin/env python3
"""Step time and memory of int8 training against PyTorch float32, in alternation in one run.

Each round measures the trainer, then PyTorch in each mode, for --seconds each, with equal network,
batch and threads; the ratio is the median over the rounds, and the mode that is best for PyTorch
counts. Memory: the trainer's whole peak resident size against PyTorch's growth beyond importing it.
The trainer reads and augments its data; PyTorch is given one batch. Needs torch, onnx, numpy.

    python bench/speed.py --intrain build/release/intrain [--models mlp ...] [--threads 1 2]
        [--modes eager channels_last compile] [--ort-python PYTHON] [--out speed.json]
        [--report DIR]

--report also writes DIR/speed.html: the table and, for each model, where its calls stand under the
machine's roofs (roofline.py; needs matplotlib).
--ort-python names an interpreter with onnxruntime-training (and torch); it is listed, not counted.
"""
import argparse
import datetime
import html
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import peak
import trainer

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = {  # batch, shape, bar of the ratio, bar of the memory
    "mlp": (64, (1, 28, 28), 2.0, 1 / 4),
    "lenet": (64, (1, 28, 28), 3.0, 1 / 4),
    "resnet20": (128, (3, 32, 32), 2.0, 1 / 4),
    "resnet18": (32, (3, 32, 32), 1.6, 1 / 3),
    "mobilenetv2": (64, (3, 32, 32), 4.0, 1 / 4),
}
SKIPPED = 3  # steps of a fresh trainer that fill caches and fault pages in


class Steps:
    """A process of torch_steps.py that waits between rounds."""

    def __init__(self, python, mode, name, threads, clock):
        # torch.compile must not start its pool of compiling processes: they would run during rounds
        env = {**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "1", "OMP_NUM_THREADS": str(threads)}
        command = [python, os.path.join(HERE, "torch_steps.py"), mode, name, str(MODELS[name][0]), str(threads), clock]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=env)
        if self.process.stdout.readline().strip() != "ready":
            self.close()
            raise trainer.Refused(f"{mode}: does not run {name}")

    def measure(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def peak_memory(process):
    """The process's peak resident size in MiB, read until it ends."""
    peak = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as f:
                peak = max([peak] + [int(line.split()[1]) for line in f if line.startswith("VmHWM")])
        except OSError:
            pass
        time.sleep(0.01)
    return peak / 1024


class Trainer:
    """A compiled trainer, started anew for each round."""

    def __init__(self, a, name, model, work, options):
        batch, shape, _, _ = MODELS[name]
        self.program = trainer.compiled(a.intrain, model, os.path.join(work, "t"), [
            "--batch", str(batch), "--lr", "0.1", "--optimizer", "sgd,momentum=0.9,weight-decay=1e-4", *options])
        rng = np.random.default_rng(0)
        self.data, self.log = [os.path.join(work, n) for n in ("x.npy", "y.npy")], os.path.join(work, "log")
        np.save(self.data[0], rng.integers(0, 256, (8 * batch, *shape), np.uint8))
        np.save(self.data[1], rng.integers(0, 10, 8 * batch, np.uint8))
        self.steps, self.clock, self.short = 0, a.clock, None

    def run(self, steps, threads):
        command = [self.program, "--data", f"npy:{self.data[0]},{self.data[1]},scale=1/255", "--steps", str(steps),
                   "--threads", str(threads), "--log", self.log, "--quiet"]
        before = trainer.processor_seconds()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        memory = peak_memory(process)
        if process.returncode != 0:
            raise trainer.Refused(f"trainer ends with {process.returncode}: {process.stderr.read().strip()}")
        at = [e["seconds"] for e in trainer.events(self.log) if e["event"] == "step"]
        return {"times": list(np.diff(at)[SKIPPED - 1:]), "memory": memory,
                "processor": trainer.processor_seconds() - before}

    def draw(self, threads, roofs, path):
        """The roofline of some steps; not while times are taken, for a trace costs some."""
        trace = self.log + ".trace"
        trainer.run(self.program, "--data", f"npy:{self.data[0]},{self.data[1]},scale=1/255", "--steps", "6",
                    "--threads", str(threads), "--quiet", "--trace", trace)
        with open(os.path.join(os.path.dirname(self.program), "plan.json")) as plan, open(trace) as events:
            import roofline  # only the report needs matplotlib
            roofline.draw(json.load(plan), json.load(events)["traceEvents"], roofs, path)

    def measure(self, seconds, threads):
        """Wall times of the steps, or by processor time the mean of those beyond a short run's."""
        if not self.steps:
            self.short = self.run(SKIPPED + 3, threads)
            self.steps = SKIPPED + 3 + max(3, min(5000, int(seconds / statistics.median(self.short["times"]))))
        found = self.run(self.steps, threads)
        if self.clock == "processor":
            found["times"] = [(found["processor"] - self.short["processor"]) / (self.steps - SKIPPED - 3)]
        return found


def summary(name, threads, rounds, gmacs, roofs):
    """The figures of a model from its rounds: {contender: [result of a round]}."""
    median = {who: [statistics.median(r["times"]) for r in results] for who, results in rounds.items()}
    ours = median.pop("intrain")
    ratio = {who: statistics.median(t / o for t, o in zip(times, ours)) for who, times in median.items()}
    best = min((who for who in ratio if who != "ort"), key=ratio.get)
    step = statistics.median(ours)
    milliseconds = {"intrain": 1e3 * step, **{who: 1e3 * statistics.median(t) for who, t in median.items()}}
    memory = {who: max(r["memory"] for r in results) for who, results in rounds.items()}
    least = min(memory[who] for who in ratio if who != "ort")
    return {"model": name, "threads": threads, "batch": MODELS[name][0], "best": best, "ratio": ratio[best],
            "ratios": ratio, "ms": milliseconds,
            "gmacs": {"intrain": gmacs / step, "torch": gmacs / statistics.median(median[best])},
            "share": {k: gmacs / step / v for k, v in roofs.items() if k != "copy"},
            "memory": memory, "memory_ratio": memory["intrain"] / least, "rounds": len(ours)}


def compete(a, name, threads, roofs):
    batch = MODELS[name][0]
    contenders = {}
    with tempfile.TemporaryDirectory() as work:
        model = os.path.join(work, "m.onnx")
        macs = int(trainer.run(sys.executable, os.path.join(HERE, "torch_steps.py"), "export", name, model).split()[-1])
        own = Trainer(a, name, model, work, a.compile_option)
        try:
            for mode in a.modes:
                contenders[mode] = Steps(sys.executable, mode, name, threads, a.clock)
            if a.ort_python:
                contenders["ort"] = Steps(a.ort_python, "ort", name, threads, a.clock)
            rounds = {who: [] for who in ["intrain", *contenders]}
            for _ in range(a.rounds):
                rounds["intrain"].append(own.measure(a.seconds, threads))
                for who, steps in contenders.items():
                    rounds[who].append(steps.measure(a.seconds))
        finally:
            for steps in contenders.values():
                steps.close()
        if a.report:
            own.draw(threads, roofs, os.path.join(a.report, picture(name, threads)))
    return summary(name, threads, rounds, 3e-9 * macs * batch, roofs)


HEAD = ["model, batch", "threads", "PyTorch ms", "intrain ms", "ratio", "bar", "GMAC/s PyTorch", "GMAC/s intrain",
        "of int16 peak", "of int8 peak", "MiB PyTorch", "MiB intrain", "memory ratio", "bar"]


def row(s):
    bars = MODELS[s["model"]][2:]
    ort = f", ort {s['ms']['ort']:.1f}" if "ort" in s["ms"] else ""
    share = [f"{100 * s['share'][k]:.0f} %" if k in s["share"] else "" for k in ("int16", "int8")]
    torch_memory = s["memory"]["intrain"] / s["memory_ratio"]
    return [f"{s['model']}, {s['batch']}", str(s["threads"]), f"{s['ms'][s['best']]:.1f} ({s['best']}{ort})",
            f"{s['ms']['intrain']:.1f}", f"{s['ratio']:.2f}", f"{bars[0]:.1f}", f"{s['gmacs']['torch']:.1f}",
            f"{s['gmacs']['intrain']:.1f}", *share, f"{torch_memory:.0f}", f"{s['memory']['intrain']:.1f}",
            f"{s['memory_ratio']:.2f}", f"{bars[1]:.2f}"]


def show(cells):
    print(f"| {' | '.join(cells)} |", flush=True)


def picture(name, threads):
    return f"{name}.{threads}.svg"


def write_report(folder, settings, results):
    def cells(tag, texts):
        return "<tr>" + "".join(f"<{tag}>{html.escape(t)}</{tag}>" for t in texts) + "</tr>\n"

    with open(os.path.join(folder, "speed.html"), "w") as f:
        f.write("<!doctype html><meta charset=utf-8><title>intrain: speed</title>\n"
                "<style>body{font-family:sans-serif}td,th{padding:2px 8px;text-align:right}</style>\n"
                "<h1>Training steps against PyTorch</h1>\n<table>\n")
        f.writelines(cells("td", [k, str(v)]) for k, v in settings.items())
        f.write("</table>\n<table>\n" + cells("th", HEAD))
        f.writelines(cells("td", row(s)) for s in results)
        f.write("</table>\n")
        for s in results:
            f.write(f"<h2>{s['model']}, {s['threads']} thread(s)</h2>\n"
                    f"<img src={picture(s['model'], s['threads'])} alt='roofline of {s['model']}'>\n")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--intrain", default="build/release/intrain")
    p.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--modes", nargs="+", choices=["eager", "channels_last", "compile"],
                   default=["eager", "channels_last", "compile"])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=2.0, help="for a contender in a round, at least three steps")
    p.add_argument("--clock", choices=["wall", "processor"], default="wall",
                   help="processor: time used by all threads, where others keep the machine busy")
    p.add_argument("--ort-python", help="an interpreter with onnxruntime-training")
    p.add_argument("--compile-option", action="append", default=[], help="for intrain compile, as --compile-option=X")
    p.add_argument("--out", help="JSON of all figures")
    p.add_argument("--report", help="a folder for speed.html and its pictures")
    return p.parse_args()


def main():
    a = arguments()
    a.intrain = trainer.absolute(a.intrain)
    results, reached = [], True
    if a.report:
        os.makedirs(a.report, exist_ok=True)
    peaks = {n: peak.machine_peaks(n) for n in a.threads}
    settings = {"date": str(datetime.date.today()), "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "version": trainer.version(a.intrain), "clock": f"{a.clock} time", "peaks, GMAC/s and GB/s": peaks}
    print("; ".join(f"{k} {v}" for k, v in settings.items()) + "\n")
    show(HEAD)
    show(["---"] * len(HEAD))
    for name in a.models:
        for threads in a.threads:
            try:
                s = compete(a, name, threads, peaks[threads])
            except trainer.Refused as e:
                show([name, str(threads), str(e).split(".onnx: ")[-1]] + [""] * (len(HEAD) - 3))
                reached = False
                break
            results.append(s)
            show(row(s))
            reached = reached and s["ratio"] >= MODELS[name][2] and s["memory_ratio"] <= MODELS[name][3]
    if a.out:
        with open(a.out, "w") as f:
            json.dump({**settings, "results": results}, f, indent=1)
    if a.report:
        write_report(a.report, settings, results)
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
