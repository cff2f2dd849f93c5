#!/usr/bin/env python3
"""Models that say themselves how they are trained (TrainingInfoProto), against ONNX's own operators.

Builds a small network with each optimizer of ai.onnx.preview.training, trains it for STEPS steps by
intrain --arith float32 with no option that says how, and in numpy: gradients in closed form in double,
every update by ONNX's reference evaluator of the very node that the model has. Prints the worst
distance of a parameter, relative to the way that it went; then what int8 makes of the loss.
Needs numpy and onnx.

    python bench/accuracy/training_info.py --intrain build/release/intrain [--keep DIR]
"""
import argparse, json, os, subprocess, sys, tempfile
import numpy as np, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from onnx.reference import ReferenceEvaluator

DOMAIN, STEPS, BATCH, TOLERANCE = "ai.onnx.preview.training", 40, 16, 5e-6
NAMES = ["W1", "b1", "W2", "b2"]


def floats(a, name):
    return nh.from_array(np.asarray(a, np.float32), name)


def start():
    rng = np.random.RandomState(0)
    return {"W1": rng.randn(4, 8) * .5, "b1": np.zeros(8), "W2": rng.randn(8, 3) * .5, "b2": np.zeros(3)}


def build(op, attributes, slots, rate=0.1, first=0, counts="after", mse=True, apart=False, begin=()):
    """A network of two layers; its algorithm: a loss, its gradient, one optimizer (or one a tensor)."""
    w, begin = start(), dict(begin)
    net = h.make_graph(
        [h.make_node("MatMul", ["x", "W1"], ["h0"]), h.make_node("Add", ["h0", "b1"], ["h1"]),
         h.make_node("Tanh", ["h1"], ["h2"]), h.make_node("MatMul", ["h2", "W2"], ["h3"]),
         h.make_node("Add", ["h3", "b2"], ["y"])], "net",
        [h.make_tensor_value_info("x", T.FLOAT, ["N", 4])], [h.make_tensor_value_info("y", T.FLOAT, ["N", 3])],
        [floats(v, k) for k, v in w.items()])
    if mse:
        nodes = [h.make_node("Sub", ["y", "t"], ["d"]), h.make_node("Mul", ["d", "d"], ["q"]),
                 h.make_node("ReduceMean", ["q"], ["loss"], keepdims=0)]
    else:
        nodes = [h.make_node("SoftmaxCrossEntropyLoss", ["y", "t"], ["loss"])]
    target = h.make_tensor_value_info("t", T.FLOAT if mse else T.INT64, ["N", 3] if mse else ["N"])
    nodes.append(h.make_node("Gradient", NAMES + ["x", "t"], ["g_" + n for n in NAMES], domain=DOMAIN, name="grad",
                             xs=NAMES, zs=["x", "t"], y="loss"))
    inits, bound = [floats(rate, "R")], []
    if not op:
        for n in NAMES:
            nodes += [h.make_node("Mul", ["R", "g_" + n], ["s_" + n]), h.make_node("Sub", [n, "s_" + n], [n + "_new"])]
    else:
        inits += [nh.from_array(np.array(first, np.int64), "T"), nh.from_array(np.array(1, np.int64), "one")]
        if counts:
            nodes.append(h.make_node("Add", ["T", "one"], ["T_new"]))
            bound.append(("T", "T_new"))
        for group in [[n] for n in NAMES] if apart else [NAMES]:
            states = [f"{s}_{n}" for s in slots for n in group]
            inits += [floats(np.full(w[n].shape, begin.get(s, 0)), f"{s}_{n}") for s in slots for n in group]
            nodes.append(h.make_node(op, ["R", "T_new" if counts == "before" else "T"] + group +
                                     ["g_" + n for n in group] + states,
                                     [n + "_new" for n in group + states], domain=DOMAIN, name="opt_" + group[0],
                                     **attributes))
            bound += [(s, s + "_new") for s in states]
    bound += [(n, n + "_new") for n in NAMES]
    algorithm = h.make_graph(nodes, "algorithm", [target],
                             [h.make_tensor_value_info(b, T.FLOAT, None) for _, b in bound], inits)
    m = h.make_model(net, opset_imports=[h.make_opsetid("", 17), h.make_opsetid(DOMAIN, 1)], ir_version=8)
    m.training_info.append(h.make_training_info(algorithm, bound, None, None))
    return m


CASES = {
    "sgd": dict(op=None, attributes={}, slots=[], mse=False),
    "momentum": dict(op="Momentum", slots=["V"],
                     attributes=dict(alpha=.9, beta=.8, mode="standard", norm_coefficient=.01)),
    "momentum_still": dict(op="Momentum", slots=["V"], counts=None,
                           attributes=dict(alpha=.9, beta=.8, mode="standard", norm_coefficient=0.)),
    "nesterov": dict(op="Momentum", slots=["V"], mse=False,
                     attributes=dict(alpha=.8, beta=1., mode="nesterov", norm_coefficient=0.)),
    "nesterov_damped": dict(op="Momentum", slots=["V"], apart=True, first=4, begin={"V": .25},
                            attributes=dict(alpha=.8, beta=.5, mode="nesterov", norm_coefficient=.02)),
    "adam": dict(op="Adam", slots=["V", "H"], rate=.01,
                 attributes=dict(alpha=.9, beta=.999, norm_coefficient=.01, norm_coefficient_post=.001)),
    "adam_before": dict(op="Adam", slots=["V", "H"], rate=.01, counts="before", mse=False, apart=True,
                        attributes=dict(alpha=.9, beta=.999, epsilon=1e-3)),
    "adam_still": dict(op="Adam", slots=["V", "H"], rate=.01, counts=None, first=5, begin={"V": .1, "H": .2},
                       attributes=dict(alpha=.9, beta=.99, epsilon=1e-3)),
    "adagrad": dict(op="Adagrad", slots=["H"], first=2, begin={"H": .5},
                    attributes=dict(decay_factor=.1, epsilon=1e-6, norm_coefficient=.01)),
    "adagrad_still": dict(op="Adagrad", slots=["H"], first=2, counts=None, attributes=dict(decay_factor=.1)),
}


def gradients(w, x, t, mse):
    a = np.tanh(x @ w["W1"] + w["b1"])
    y = a @ w["W2"] + w["b2"]
    if mse:
        loss, d = ((y - t) ** 2).mean(), 2 * (y - t) / y.size
    else:
        p = np.exp(y - y.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss, d = -np.log(p[np.arange(len(t)), t]).mean(), (p - np.eye(3)[t]) / len(t)
    e = d @ w["W2"].T * (1 - a * a)
    return loss, {"W1": x.T @ e, "b1": e.sum(0), "W2": a.T @ d, "b2": d.sum(0)}


def reference(m, x, t, mse):
    """The algorithm's nodes behind the gradient, one by one, on the values that their names have."""
    info = m.training_info[0]
    at = {i.name: nh.to_array(i) for g in (m.graph, info.algorithm) for i in g.initializer}
    behind = [n for n in info.algorithm.node if n.op_type in ("Add", "Adam", "Adagrad", "Momentum", "Mul", "Sub")
              and not (n.op_type in ("Sub", "Mul") and n.output[0] in ("d", "q"))]
    runs = []
    for n in behind:
        g = h.make_graph([n], "g", [h.make_tensor_value_info(i, T.INT64 if i in ("T", "T_new", "one") else T.FLOAT, None)
                                    for i in dict.fromkeys(n.input)],
                         [h.make_tensor_value_info(o, T.INT64 if o == "T_new" else T.FLOAT, None) for o in n.output])
        runs.append((n, ReferenceEvaluator(h.make_model(g, opset_imports=m.opset_import))))
    losses = []
    for k in range(STEPS):
        rows = slice(k % (len(x) // BATCH) * BATCH, (k % (len(x) // BATCH) + 1) * BATCH)
        loss, g = gradients({n: at[n].astype(np.float64) for n in NAMES}, x[rows], t[rows], mse)
        losses.append(loss)
        now = dict(at, **{"g_" + n: g[n].astype(np.float32) for n in NAMES})
        for n, run in runs:
            now.update(zip(n.output, run.run(None, {i: now[i] for i in dict.fromkeys(n.input)})))
        for b in info.update_binding:
            at[b.key] = now[b.value]
    return at, losses


def train(intrain, folder, name, arith):
    model, log = f"{folder}/{name}.onnx", f"{folder}/{name}.{arith}.jsonl"
    if os.path.exists(log):
        os.remove(log)
    subprocess.run([intrain, "train", model, "--data", f"npz:{folder}/{name}.npz,shuffle=0", "--arith", arith, "--batch",
                    str(BATCH), "--steps", str(STEPS), "--save", f"{folder}/{name}.ckpt", "--log", log, "--interpret",
                    "--quiet"], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([intrain, "export", model, f"{folder}/{name}.ckpt", "-o", f"{folder}/{name}.out.onnx", "--quiet"], check=True)
    trained = onnx.load(f"{folder}/{name}.out.onnx")
    onnx.checker.check_model(trained)
    events = [json.loads(line) for line in open(log)]
    return ({i.name: nh.to_array(i) for i in trained.graph.initializer},
            [e["loss"] for e in events if e["event"] == "step"])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--intrain", required=True)
    p.add_argument("--keep", help="a folder for models and data")
    a = p.parse_args()
    folder, good = a.keep or tempfile.mkdtemp(), True
    os.makedirs(folder, exist_ok=True)
    print(f"{'case':16} {'float32':>9}  loss of onnx, float32, int8 at the end")
    for name, case in CASES.items():
        rng, mse = np.random.RandomState(1), case.get("mse", True)
        x = rng.randint(-64, 64, (4 * BATCH, 4)) / 32.0
        t = rng.randint(-64, 64, (4 * BATCH, 3)) / 64.0 + x[:, :3] / 4 if mse else (x[:, :3] + x[:, 1:]).argmax(1)
        t = np.round(t * 128) / 128 if mse else t
        m = build(**case)
        onnx.save(m, f"{folder}/{name}.onnx")
        np.savez(f"{folder}/{name}.npz", x=x.astype(np.float32), t=t.astype(np.float32 if mse else np.int32))
        want, losses = reference(m, x, t, mse)
        got, ours = train(a.intrain, folder, name, "float32")
        _, small = train(a.intrain, folder, name, "int8")
        begin = start()
        off = max(np.abs(got[n] - want[n]).max() / np.abs(want[n] - begin[n]).max() for n in NAMES)
        falls = np.mean(small[-8:]) < np.mean(small[:4])
        good = good and off <= TOLERANCE and falls
        print(f"{name:16} {off:9.1e}  {losses[-1]:.5f} {ours[-1]:.5f} {small[-1]:.5f}"
              f"{'' if off <= TOLERANCE else '  too far'}{'' if falls else '  int8 does not fall'}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
