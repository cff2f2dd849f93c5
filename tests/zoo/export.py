#!/usr/bin/env python3
"""Writes the models of this folder (needs torch and onnx): python tests/zoo/export.py

They are graphs as PyTorch exports them, without the weights of products: a tensor of two or more axes
and at least 256 numbers becomes a sparse initializer without a value, which is a valid ONNX model of
zeros and small. `--init kaiming` (zoo.toml) starts them. Embeddings are kept.
"""
import math, os, sys, warnings
import onnx, torch, torch.nn as nn, torch.nn.functional as F
from onnx import TensorProto, helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "bench"))
import zoo  # noqa: E402


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn = kind(16, 24, batch_first=True)
        self.out = nn.Linear(24, 10)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


class TextCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(100, 24)
        self.convs = nn.ModuleList(nn.Conv1d(24, 16, k) for k in (2, 3))
        self.out = nn.Linear(32, 4)

    def forward(self, ids):
        x = self.words(ids).transpose(1, 2)
        return self.out(torch.cat([F.relu(c(x)).amax(2) for c in self.convs], 1))


class Attention(nn.Module):
    """A causal transformer of one block on tokens, as GPT-2 has them."""

    def __init__(self, vocabulary=40, width=32, heads=4, length=16):
        super().__init__()
        self.heads = heads
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Parameter(torch.randn(length, width) / 8)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.out = nn.Linear(width, vocabulary, bias=False)
        self.register_buffer("mask", torch.full((length, length), -30.0).triu(1))

    def forward(self, ids):
        x = self.tokens(ids) + self.places
        n, t, c = x.shape
        q, k, v = (y.reshape(n, t, self.heads, -1).transpose(1, 2) for y in self.qkv(self.norm1(x)).chunk(3, 2))
        a = torch.softmax(q @ k.transpose(2, 3) * (c / self.heads) ** -0.5 + self.mask, 3) @ v
        x = x + self.proj(a.transpose(1, 2).reshape(n, t, c))
        return self.out(self.norm3(x + self.mlp(self.norm2(x))))


class UNet(nn.Module):
    """Segmentation: pooling, bilinear enlargement, a concatenation across."""

    def __init__(self):
        super().__init__()
        self.down, self.deep = zoo.conv_norm(3, 12, 3, act=nn.ReLU), zoo.conv_norm(12, 16, 3, act=nn.SiLU)
        self.up, self.out = zoo.conv_norm(28, 12, 3, act=nn.Hardswish), nn.Conv2d(12, 4, 1)

    def forward(self, x):
        a = self.down(x)
        b = F.interpolate(self.deep(F.max_pool2d(a, 2)), scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(self.up(torch.cat([a, b], 1)))


class Excited(nn.Module):
    """Group normalisation, squeeze and excite, a gate."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1))
        self.head = nn.Sequential(nn.AvgPool2d(2), *zoo.head(16))

    def forward(self, x):
        y = F.silu(self.norm(self.conv(x)))
        return self.head(y * torch.sigmoid(self.squeeze(y)))


class WithLoss(nn.Module):
    """The loss is an output of the model."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))

    def forward(self, x, label):
        y = self.body(x)
        return F.cross_entropy(y, label), y


def autoencoder():
    return nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(8, 16, 3, 2, 1), nn.ELU(),
                         nn.ConvTranspose2d(16, 8, 2, 2), nn.ReLU(), nn.ConvTranspose2d(8, 1, 2, 2), nn.Sigmoid())


def upscaler():
    return nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 4, 3, padding=1), nn.PixelShuffle(2))


VGG = (8, None, 16, None, 32, 32, None, 64, None, 64, None)
FLOAT, IDS = torch.float32, torch.int64
# name: (how it is made, type and shape of an input's sample)
MODELS = {
    "resnet20": (lambda: zoo.NETWORKS["resnet20"][0](), (FLOAT, (3, 32, 32))),
    "mobilenetv2": (lambda: zoo.mobilenetv2(8, ((1, 8, 1, 1), (6, 12, 2, 2), (6, 16, 2, 2)), 64), (FLOAT, (3, 32, 32))),
    "vgg": (lambda: zoo.vgg(VGG), (FLOAT, (3, 32, 32))),
    "dscnn": (lambda: zoo.dscnn(32, 2), (FLOAT, (1, 49, 10))),
    "autoencoder": (autoencoder, (FLOAT, (1, 16, 16))),
    "upscaler": (upscaler, (FLOAT, (1, 12, 12))),
    "unet": (UNet, (FLOAT, (3, 16, 16))),
    "excited": (Excited, (FLOAT, (3, 12, 12))),
    "lstm": (lambda: Recurrent(nn.LSTM), (FLOAT, (12, 16))),
    "gru": (lambda: Recurrent(nn.GRU), (FLOAT, (12, 16))),
    "textcnn": (TextCnn, (IDS, (16,))),
    "gpt": (Attention, (IDS, (16,))),
    "loss": (WithLoss, (FLOAT, (1, 8, 8)), (IDS, ())),
}


KEPT = ("words.weight", "tokens.weight", "places")


def without_weights(path):
    m = onnx.load(path)
    for t in list(m.graph.initializer):
        numbers = 1
        for d in t.dims:
            numbers *= d
        if t.data_type == TensorProto.FLOAT and len(t.dims) > 1 and numbers >= 256 and t.name not in KEPT:
            none = helper.make_tensor(t.name, TensorProto.FLOAT, [0], [])
            m.graph.sparse_initializer.append(helper.make_sparse_tensor(none, helper.make_tensor("", TensorProto.INT64, [0], []), t.dims))
            m.graph.initializer.remove(t)
    for n in m.graph.node:
        n.doc_string = ""
    onnx.save(m, path)


TRAINING = "ai.onnx.preview.training"


def own_training(path):
    """A model that says how it is trained: random starts, cross-entropy, Adam, and biases that do not decay."""
    kind, shapes = TensorProto.FLOAT, {"conv": [8, 1, 3, 3], "conv_bias": [8], "dense": [128, 10], "dense_bias": [10]}
    zeros = lambda name, shape: helper.make_tensor(name, kind, shape, [0.0] * math.prod(shape))  # noqa: E731
    info = lambda name, *shape, t=kind: helper.make_tensor_value_info(name, t, shape)  # noqa: E731
    net = helper.make_graph(
        [helper.make_node("Conv", ["input", "conv", "conv_bias"], ["c"], name="conv", pads=[1] * 4),
         helper.make_node("Relu", ["c"], ["r"], name="relu"),
         helper.make_node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
         helper.make_node("Gemm", ["f", "dense", "dense_bias"], ["output"], name="dense")],
        "adam", [info("input", "batch", 1, 8, 8)], [info("output", "batch", 10)], [zeros(n, s) for n, s in shapes.items()])
    names = list(shapes)
    nodes = [helper.make_node("SoftmaxCrossEntropyLoss", ["output", "label"], ["loss"], name="loss"),
             helper.make_node("Gradient", names + ["input", "label"], ["d_" + n for n in names], name="gradient", domain=TRAINING,
                              xs=names, zs=["input", "label"], y="loss"),
             helper.make_node("Add", ["steps", "one"], ["steps_new"], name="count")]
    inits = [helper.make_tensor("rate", kind, [], [0.01]), helper.make_tensor("steps", TensorProto.INT64, [], [0]),
             helper.make_tensor("one", TensorProto.INT64, [], [1])]
    update = {"steps": "steps_new"}
    for n in names:
        inits += [zeros(s + n, shapes[n]) for s in ("m_", "v_")]
        nodes.append(helper.make_node("Adam", ["rate", "steps", n, "d_" + n, "m_" + n, "v_" + n],
                                      [n + "_new", "m_" + n + "_new", "v_" + n + "_new"], name="adam_" + n, domain=TRAINING,
                                      norm_coefficient=0.0 if "bias" in n else 1e-4))
        update.update({s + n: s + n + "_new" for s in ("", "m_", "v_")})
    start = helper.make_graph([helper.make_node("RandomUniform", [], ["u"], low=-0.3, high=0.3, shape=shapes["conv"]),
                               helper.make_node("RandomNormal", [], ["n"], scale=0.1, shape=shapes["dense"])],
                              "start", [], [info("u", *shapes["conv"]), info("n", *shapes["dense"])])
    algorithm = helper.make_graph(nodes, "algorithm", [info("label", "batch", t=TensorProto.INT64)],
                                  [helper.make_tensor_value_info("loss", kind, [])] +
                                  [helper.make_tensor_value_info(v, kind, None) for v in update.values()], inits)
    m = helper.make_model(net, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(TRAINING, 1)], ir_version=8)
    m.training_info.append(helper.make_training_info(algorithm, list(update.items()), start, [("conv", "u"), ("dense", "n")]))
    onnx.save(m, path)


def main():
    warnings.simplefilter("ignore")
    for seed, (name, (make, *inputs)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        model, path = make(), f"{HERE}/{name}.onnx"
        names = ["input", "label"][: len(inputs)]
        outputs = ["loss", "output"] if name == "loss" else ["output"]
        torch.onnx.export(model, tuple(torch.zeros(2, *shape, dtype=kind) for kind, shape in inputs), path,
                          input_names=names, output_names=outputs, opset_version=17, dynamo=False,
                          dynamic_axes={n: {0: "batch"} for n in names + ["output"]},
                          training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)
        without_weights(path)
    own_training(f"{HERE}/adam.onnx")


if __name__ == "__main__":
    main()
