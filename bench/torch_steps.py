"""Training steps of PyTorch or ONNX Runtime in a process of their own, for speed.py.

    python bench/torch_steps.py MODE NETWORK BATCH THREADS CLOCK

MODE: eager, channels_last, compile, or ort (onnxruntime-training, plain SGD: it has no momentum);
export writes the network to the path in place of BATCH and prints its multiply-adds. A line
with a number of seconds on standard input runs steps for so long; the answer is a JSON line with
the time of each by CLOCK (wall or processor) and the memory beyond what importing takes.
"""
import json
import os
import sys
import tempfile
import time

import torch
import torch.nn.functional as F

import zoo


def memory(field):
    """VmRSS or VmHWM (peak) of this process in MiB."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field)) / 1024


def torch_step(mode, name, batch):
    model = zoo.make(name).train()
    x, y = torch.randn(batch, *zoo.NETWORKS[name][1]), torch.randint(0, 10, (batch,))
    if mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    if mode == "compile":
        model = torch.compile(model)
    sgd = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=1e-4)

    def step():
        sgd.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        sgd.step()
    return step


def ort_step(name, batch, threads):
    import onnx
    import onnxruntime
    from onnxruntime.training import api, artifacts
    onnxruntime.set_default_logger_severity(3)
    folder = tempfile.mkdtemp()
    model = zoo.make(name)
    trained = [n for n, _ in model.named_parameters()]
    zoo.export(model, zoo.NETWORKS[name][1], f"{folder}/m.onnx")
    graph = onnx.load(f"{folder}/m.onnx")
    artifacts.generate_artifacts(
        graph, requires_grad=trained, loss=artifacts.LossType.CrossEntropyLoss, optimizer=artifacts.OptimType.SGD,
        frozen_params=[t.name for t in graph.graph.initializer if t.name not in trained], artifact_directory=folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    state = api.CheckpointState.load_checkpoint(f"{folder}/checkpoint")
    module = api.Module(f"{folder}/training_model.onnx", state, session_options=options)
    sgd = api.Optimizer(f"{folder}/optimizer_model.onnx", module)
    x = torch.randn(batch, *zoo.NETWORKS[name][1]).numpy()
    y = torch.randint(0, 10, (batch,)).numpy()
    module.train()

    def step():
        module(x, y)
        sgd.step()
        module.lazy_reset_grad()
    return step


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def serve(step, base, clock, out):
    for _ in range(3):
        step()
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        times, start = [], time.perf_counter()
        while time.perf_counter() - start < float(line) or len(times) < 3:
            t = clock()
            step()
            times.append(clock() - t)
        print(json.dumps({"times": times, "memory": memory("VmHWM") - base}), file=out, flush=True)


def main():
    mode, name = sys.argv[1:3]
    if mode == "export":
        model = zoo.make(name)
        zoo.export(model, zoo.NETWORKS[name][1], sys.argv[3])
        print(zoo.multiply_adds(model, zoo.NETWORKS[name][1]))
        return
    batch, threads = int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    out = os.fdopen(os.dup(1), "w")  # libraries print to standard output
    os.dup2(2, 1)
    base = memory("VmRSS")
    step = ort_step(name, batch, threads) if mode == "ort" else torch_step(mode, name, batch)
    serve(step, base, CLOCKS[sys.argv[5]], out)


if __name__ == "__main__":
    main()
