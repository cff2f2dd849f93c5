#!/usr/bin/env python3
"""Convolutional networks as PyTorch's exporters write them: gradients, and 50 steps in int8.

Each model is a convolution, a layer, and a head that tells four classes apart (or that paints an
image, for layers that resize), or one of nets.py. It is exported by one of

    train         the TorchScript exporter in training mode
    train-frozen  the same, with --norm frozen
    eval, frozen  the same in inference mode, unfolded; with --norm train and --norm frozen
    dynamo        torch.export in inference mode: it folds batch normalisation into convolutions, and
                  of what was folded no gradient is compared
    dynamo-train  the same without optimisation, with --norm train

compiled with --arith float32 for a step of plain SGD, whose change of each parameter must be PyTorch's
gradient in double precision to 1e-3, and in int8 for --steps steps, after which the loss must have
fallen and every parameter with a gradient moved. Needs torch, onnx, numpy. Two seconds of processor
time a line.

    python bench/accuracy/exported.py --intrain build/release/intrain [--kinds train,dynamo] [NAME ...]
"""
import argparse, contextlib, io, json, logging, os, sys, tempfile, warnings
import numpy as np, onnx, torch, torch.nn as nn, torch.nn.functional as F
from onnx import numpy_helper

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import nets
import trainer

TOLERANCE, RATE = 1e-3, 2.0**30  # beside such a step a weight is nothing
ROWS, CLASSES = 16, nets.CLASSES
TRAINING = {"train": True, "train-frozen": False, "eval": True, "frozen": False, "dynamo": False,
            "dynamo-train": True}  # batch normalisation is


class Of(nn.Module):
    """A function as a layer."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


class Two(nn.Module):
    """A function of two convolutions of x, one of them larger: their exponents differ."""

    def __init__(self, f):
        super().__init__()
        self.a, self.b, self.f = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1), f

    def forward(self, x):
        return self.f(self.a(x), 5 * self.b(x))


class Excite(nn.Module):
    def __init__(self, channels, gate):
        super().__init__()
        self.a, self.b, self.gate = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1), gate()

    def forward(self, x):
        return x * self.gate(self.b(F.relu(self.a(F.adaptive_avg_pool2d(x, 1)))))


class Block(nn.Module):
    """ConvNeXt's: depthwise 7x7, normalisation of channels, two products, a scale a channel."""

    def __init__(self, c):
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c)
        self.a, self.b, self.scale = nn.Linear(c, 4 * c), nn.Linear(4 * c, c), nn.Parameter(0.1 * torch.ones(c))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.b(F.gelu(self.a(y)))).permute(0, 3, 1, 2)


class Standardised(nn.Conv2d):
    """NFNet's weights: of mean 0 and variance 1 a filter."""

    def forward(self, x):
        var, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, 0.3 * (self.weight - mean) / torch.sqrt(var + 1e-5), self.bias, padding=1)


def resize(**k):
    return lambda: Of(lambda x: F.interpolate(x, **k))


CLASSIFY = {  # name: the layer from 8 channels, channels after it
    "BatchNorm2d": (lambda: nn.Sequential(nn.BatchNorm2d(8, affine=False), nn.ReLU()), 8),
    "Conv, groups": (lambda: nn.Conv2d(8, 8, 3, groups=4), 8),
    "Conv, depthwise, dilated": (lambda: nn.Conv2d(8, 16, 3, 2, 2, 2, 8), 16),
    "Conv, same": (lambda: nn.Conv2d(8, 8, 4, padding="same"), 8),
    "Conv, reflect": (lambda: nn.Conv2d(8, 8, 3, padding=2, padding_mode="reflect"), 8),
    "Conv, replicate": (lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="replicate"), 8),
    "Conv, circular": (lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"), 8),
    "Conv, weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3)), 8),
    "Conv, standardised": (lambda: Standardised(8, 8, 3), 8),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), 8),
    "ConvTranspose2d, groups, dilated": (lambda: nn.ConvTranspose2d(8, 8, 3, 2, 1, groups=4, dilation=2), 8),
    "Add": (lambda: Two(lambda a, b: a + b), 8),
    "Div": (lambda: Two(lambda a, b: a / (b * b + 1)), 8),
    "Concat": (lambda: Two(lambda a, b: torch.cat([a, b, a + b], 1)), 24),
    "Mean": (lambda: Two(lambda a, b: torch.stack([a, b, a]).mean(0)), 8),
    "Sum": (lambda: Two(lambda a, b: torch.stack([a, b, a], 1).sum(1)), 8),
    "Max": (lambda: Two(torch.maximum), 8),
    "Min, broadcast": (lambda: Two(lambda a, b: torch.minimum(a, b.mean((2, 3), keepdim=True))), 8),
    "AvgPool2d, padding": (lambda: nn.AvgPool2d(3, 2, 1), 8),
    "AvgPool2d, padding not counted": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), 8),
    "AvgPool2d, ceil": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), 8),
    "AvgPool2d, ceil, uneven": (lambda: nn.AvgPool2d((2, 3), (3, 2), (1, 0), ceil_mode=True), 8),
    "MaxPool2d, dilated, ceil": (lambda: nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True), 8),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(4), 8),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(1), 8),
    "normalize": (lambda: Of(lambda x: F.normalize(x, dim=1)), 8),
    "Pad, constant": (lambda: Of(lambda x: F.pad(x, (1, 2, 0, 3), value=0.5)), 8),
    "Pad, reflect": (lambda: nn.ReflectionPad2d((1, 2, 3, 0)), 8),
    "Pad, edge": (lambda: nn.ReplicationPad2d((1, 2, 3, 0)), 8),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), 2),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), 32),
    "excite": (lambda: Excite(8, nn.Sigmoid), 8),
    "excite, hard": (lambda: Excite(8, nn.Hardsigmoid), 8),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, alpha=0.5), 8),
    "InstanceNorm2d": (lambda: nn.Sequential(nn.InstanceNorm2d(8, affine=True), nn.ReLU()), 8),
    "GroupNorm": (lambda: nn.Sequential(nn.GroupNorm(2, 8), nn.ReLU()), 8),
    "LayerNorm": (lambda: nn.LayerNorm([8, 12, 12]), 8),
    "ConvNeXt": (lambda: Block(8), 8),
    **{f.__name__: (f, 8) for f in (nn.PReLU, nn.Hardswish, nn.Hardsigmoid, nn.ELU, nn.SELU, nn.CELU, nn.SiLU, nn.Mish,
                                    nn.GELU, nn.LeakyReLU, nn.Softplus, nn.Tanh, nn.Sigmoid, nn.ReLU6)},
}
PAINT = {
    "Resize, nearest, 2": resize(scale_factor=2, mode="nearest"),
    "Resize, nearest, 0.6": resize(scale_factor=0.6, mode="nearest"),
    "Resize, bilinear, 1.5": resize(scale_factor=1.5, mode="bilinear"),
    "Resize, bilinear, corners": resize(scale_factor=2, mode="bilinear", align_corners=True),
    "Resize, bicubic, 0.6": resize(scale_factor=0.6, mode="bicubic"),
    "Resize, to 17x7": resize(size=(17, 7), mode="bilinear"),
}


def make(name, batch_norm):
    torch.manual_seed(0)
    if name in nets.NETS:
        return unequal(nets.NETS[name][0]())
    stem = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8) if batch_norm else nn.Tanh()]
    if name in PAINT:
        m = nn.Sequential(*stem, PAINT[name](), nn.Conv2d(8, 2, 1))
    else:
        layer, channels = CLASSIFY[name]
        m = nn.Sequential(*stem, layer(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    return unequal(m)


def unequal(m):
    """Exporters make one initializer of tensors that are equal; statistics of 0 and 1 would hide what reads them."""
    with torch.no_grad():
        for p in m.parameters():
            p.add_(0.02 * torch.randn_like(p))
        for name, b in m.named_buffers():
            if name.endswith("running_mean"):
                b.add_(0.1 * torch.randn_like(b))
            elif name.endswith("running_var"):
                b.mul_(torch.exp(0.2 * torch.randn_like(b)))
    return m


def shape(name):
    return nets.NETS[name][1] if name in nets.NETS else (3, 12, 12)


def export(m, x, path, kind):
    names = dict(input_names=["x"], output_names=["y"])
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        m.train(kind.startswith("train"))
        if kind.startswith("dynamo"):
            torch.onnx.export(m, (x,), path, dynamo=True, dynamic_shapes=({0: torch.export.Dim("N")},),
                              optimize=kind == "dynamo", **names)
        else:
            mode = torch.onnx.TrainingMode.TRAINING if kind.startswith("train") else torch.onnx.TrainingMode.EVAL
            torch.onnx.export(m, (x,), path, dynamo=False, training=mode, opset_version=17,
                              do_constant_folding=False, dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, **names)


def initializers(path):
    return {t.name: numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(path).graph.initializer if t.data_type == 1}


def reference(m, x, y):
    """PyTorch's gradients in double precision; x and what is learned, as arrays."""
    out = m.double()(torch.tensor(x).double())
    if out.dim() == 2:
        F.cross_entropy(out, torch.tensor(y)).backward()
        y = y.astype(np.int32)
    else:
        y = np.random.default_rng(2).normal(size=tuple(out.shape)).astype(np.float32)
        ((out - torch.tensor(y)) ** 2).mean().backward()
    return {k: p.grad.numpy() for k, p in m.named_parameters() if p.grad is not None}, y


def train(a, model, folder, options, steps):
    """Losses, and the initializers before and after."""
    program = trainer.compiled(a.intrain, model, f"{folder}/{steps}", ["--batch", str(ROWS), *options])
    trainer.run(program, "--data", f"npy:{folder}/x.npy,{folder}/y.npy", "--steps", str(steps), "--save", f"{folder}/c",
                "--log", f"{folder}/{steps}.jsonl", "--quiet")
    trainer.run(a.intrain, "export", model, f"{folder}/c", "-o", f"{folder}/o.onnx")
    losses = [e["loss"] for e in trainer.events(f"{folder}/{steps}.jsonl") if e["event"] == "step"]
    return losses, initializers(model), initializers(f"{folder}/o.onnx")


def check(a, name, kind):
    rng = np.random.default_rng(1)
    y = rng.integers(0, CLASSES, ROWS)
    x = (rng.normal(size=(CLASSES, *shape(name)))[y] + 0.5 * rng.normal(size=(ROWS, *shape(name)))).astype(np.float32)
    m = make(name, TRAINING[kind])
    with tempfile.TemporaryDirectory() as folder:
        model, start = f"{folder}/m.onnx", {k: v.clone() for k, v in m.state_dict().items()}
        export(m, torch.tensor(x[:3]), model, kind)
        made = initializers(model)  # tracing moves running statistics: the model's count
        start.update({k: torch.tensor(made[k]).to(v.dtype) for k, v in start.items() if "running" in k and k in made})
        m.load_state_dict(start)
        grads, y = reference(m.train(TRAINING[kind]), x, y)
        np.save(f"{folder}/x.npy", x)
        np.save(f"{folder}/y.npy", y)
        loss = ["--loss", "mse" if y.dtype == np.float32 else "cross-entropy", "--norm", "train" if TRAINING[kind] else "frozen"]
        _, before, after = train(a, model, folder, ["--arith", "float32", "--optimizer", "sgd,momentum=0", "--lr", str(RATE), *loss], 1)
        floor = 1e-4 * max(np.linalg.norm(g) for g in grads.values())  # before a normalisation a bias has none
        start = {k: v.double().numpy() for k, v in start.items()}
        known = {k: g for k, g in grads.items() if k in before and np.array_equal(before[k], start[k])}
        off = max(np.linalg.norm((before[k] - after[k]) / RATE - g) / max(np.linalg.norm(g), floor) for k, g in known.items())
        losses, before, after = train(a, model, folder, ["--lr", "0.02", *loss], a.steps)
        still = [k for k, g in known.items() if np.linalg.norm(g) > floor and np.array_equal(before[k], after[k])]
    first, last = np.mean(losses[:3]), np.mean(losses[-5:])
    wrong = "; ".join(w for w, is_so in (("gradient", off > TOLERANCE), ("loss", last >= first), (f"still: {still}", still)) if is_so)
    return off, first, last, wrong


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--intrain", default="build/release/intrain")
    a.add_argument("--kinds", default="train,dynamo")
    a.add_argument("--steps", type=int, default=50)
    a.add_argument("names", nargs="*")
    a = a.parse_args()
    a.intrain = trainer.absolute(a.intrain)
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    failed = 0
    print("| layer | exporter | gradient off by | int8 loss | |\n|---|---|---|---|---|")
    for name in a.names or [*CLASSIFY, *PAINT, *nets.NETS]:
        for kind in a.kinds.split(","):
            try:
                off, first, last, wrong = check(a, name, kind)
                text = f"{off:.1e} | {first:.3f} to {last:.3f} | {wrong}"
            except (trainer.Refused, torch.onnx.OnnxExporterError) as e:
                text, wrong = f"| | {str(e).strip().splitlines()[0]}", True
            failed += bool(wrong)
            print(f"| {name} | {kind} | {text} |", flush=True)
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
