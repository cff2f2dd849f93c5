#!/usr/bin/env python3
"""Why golden.py finds 3.6e-2 and 5.7e-2 for bert_tiny and gpt2_tiny: their golden files have dropout in them.

These two are made by Hugging Face's transformers, where attention hands its own dropout rate to
scaled_dot_product_attention and asks its own mode, not its Dropout module's: with the modules alone in
evaluation mode, "training mode, dropout off" leaves attention's dropout on. So the files' outputs in both
modes differ, which no layer of the models explains. This script rebuilds the models with the weights of the
ONNX files and prints, as worst relative error of a parameter's gradient,

    torch without any dropout against the golden file    what golden.py finds of intrain
    intrain against torch without any dropout            float rounding
    torch as the golden file was made, against it        gpt2_tiny: seed 1, the 96th forward pass after it

Needs numpy, onnx, torch and transformers.

    python bench/accuracy/golden_attention.py --intrain build/release/intrain --models DIR
"""
import argparse, json, os, subprocess, tempfile
import numpy as np, onnx, torch, transformers
from onnx import numpy_helper
import golden


def make(name):
    if name == "bert_tiny":
        c = transformers.BertConfig(vocab_size=4000, hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
                                    intermediate_size=256, max_position_embeddings=64, num_labels=2)
        return transformers.BertForSequenceClassification(c)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=65, n_positions=64, n_embd=64, n_layer=3, n_head=4, bos_token_id=None, eos_token_id=None))


def gradients(model, x):
    model.zero_grad()
    y = model(x).logits
    (y * y).mean().backward()
    return {"m." + k: p.grad.numpy().copy() for k, p in model.named_parameters()}


def against(g, want):
    """Of norms and first values, as golden.py has it."""
    floor, worst = 1e-5 * max(v["l2"] for v in want.values()), 0
    for name, v in want.items():
        a = g[name].reshape(-1).astype(np.float64)
        errors = [abs(np.linalg.norm(a) - v["l2"])] + list(np.abs(a[:len(v["first"])] - np.array(v["first"])))
        worst = max(worst, max(errors) / max(v["l2"], floor))
    return worst


def intrain_gradients(intrain, path, x, shape):
    with tempfile.TemporaryDirectory() as d:
        np.save(f"{d}/x.npy", x.astype(np.int32))
        np.save(f"{d}/y.npy", np.zeros(shape, np.float32))
        path = golden.without_dropout(path, f"{d}/{os.path.basename(path)}")
        run = lambda *a: subprocess.run([intrain, *a], check=True, capture_output=True)  # noqa: E731
        run("train", path, "--interpret", "--arith", "float32", "--batch", "4", "--optimizer", "sgd", "--lr", str(golden.RATE),
            "--loss", "mse", "--data", f"npy:{d}/x.npy,{d}/y.npy,shuffle=0", "--steps", "1", "--save", f"{d}/c", "-q")
        run("export", path, f"{d}/c", "-o", f"{d}/o.onnx")
        before, after = golden.initializers(path), golden.initializers(f"{d}/o.onnx")
    return {k: (before[k] - after[k]) / golden.RATE for k in before}


def check(name, a):
    path = f"{a.models}/{name}.train.onnx"
    gold = json.load(open(f"{a.models}/golden/{name}.json"))
    files = {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    torch.manual_seed(1)
    model = make(name)
    assert all(np.array_equal(v.numpy(), files["m." + k]) for k, v in model.state_dict().items() if "m." + k in files)
    _, shape, _ = golden.inputs_of(path)[0]
    ids = np.random.default_rng(5).integers(0, golden.vocabulary(path, golden.inputs_of(path)[0][0]), (4, *shape[1:]))
    x, state = torch.tensor(ids), torch.get_rng_state()
    both = [np.array(gold[k]["output"]["first"]) for k in ("eval", "train")]
    print(f"{name}: golden outputs in training and evaluation differ by {np.abs(both[0] - both[1]).max():.1e}")
    dropouts = [m for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    rates = [m.p for m in dropouts]
    model.train()
    for m in dropouts:
        m.p = 0.0
    torch_own = gradients(model, x)
    ours = intrain_gradients(a.intrain, path, ids, gold["train"]["output"]["shape"])
    norm = np.linalg.norm
    floor = 1e-5 * max(norm(v) for v in torch_own.values())
    off = max(norm(ours[k] - v) / max(norm(v), floor) for k, v in torch_own.items())
    print(f"    torch without any dropout against the golden file  {against(torch_own, gold['grad']):.1e}")
    print(f"    intrain against torch without any dropout          {off:.1e}")
    if name == "gpt2_tiny":
        for m, rate in zip(dropouts, rates):
            m.p = rate
            m.eval()
        torch.set_rng_state(state)
        with torch.no_grad():
            for _ in range(95):
                model(x)
        print(f"    torch as the golden file was made, against it      {against(gradients(model, x), gold['grad']):.1e}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--intrain", required=True)
    p.add_argument("--models", required=True)
    a = p.parse_args()
    for name in ("bert_tiny", "gpt2_tiny"):
        check(name, a)


if __name__ == "__main__":
    main()
