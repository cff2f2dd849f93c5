"""The networks that are measured, in PyTorch, and their export to ONNX.

No network has dropout: its masks would differ between two trainers that are held side by side.
"""
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(),
                         nn.Linear(256, 10))


def lenet():
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5),
                         nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
                         nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def conv_norm(cin, cout, kernel, stride=1, groups=1, act=None, padding=None):
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(cin, cout, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), *([act()] if act else []))


def head(features):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 10)]


class Residual(nn.Module):
    """He et al., Deep Residual Learning: the basic block, with a projection where shapes change."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.body = nn.Sequential(conv_norm(cin, cout, 3, stride, act=nn.ReLU), conv_norm(cout, cout, 3))
        self.short = nn.Identity() if cin == cout and stride == 1 else conv_norm(cin, cout, 1, stride)

    def forward(self, x):
        return F.relu(self.body(x) + self.short(x))


def resnet(widths, blocks):
    """The CIFAR form: a 3x3 stem without pooling."""
    layers, cin = [conv_norm(3, widths[0], 3, act=nn.ReLU)], widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            layers.append(Residual(cin, width, 2 if stage and not block else 1))
            cin = width
    return nn.Sequential(*layers, *head(cin))


class InvertedResidual(nn.Module):
    """Sandler et al., MobileNetV2: expand, filter each channel, project."""

    def __init__(self, cin, cout, stride, expansion):
        super().__init__()
        wide = cin * expansion
        expand = [conv_norm(cin, wide, 1, act=nn.ReLU6)] if expansion != 1 else []
        self.body = nn.Sequential(*expand, conv_norm(wide, wide, 3, stride, wide, nn.ReLU6),
                                  conv_norm(wide, cout, 1))
        self.add = cin == cout and stride == 1

    def forward(self, x):
        return x + self.body(x) if self.add else self.body(x)


def mobilenetv2(stem, stages, last):
    """stages: (expansion, width, blocks, stride); last: width of the 1x1 convolution before pooling."""
    layers, cin = [conv_norm(3, stem, 3, act=nn.ReLU6)], stem
    for expansion, width, blocks, stride in stages:
        for block in range(blocks):
            layers.append(InvertedResidual(cin, width, 1 if block else stride, expansion))
            cin = width
    if last:
        layers.append(conv_norm(cin, last, 1, act=nn.ReLU6))
    return nn.Sequential(*layers, *head(last or cin))


def vgg(widths):
    """Simonyan, Zisserman with batch normalisation; None is a pooling."""
    layers, cin = [], 3
    for width in widths:
        if width is None:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(cin, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            cin = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(cin, cin), nn.ReLU(), nn.Linear(cin, 10))


def dscnn(width=64, blocks=4):
    """Zhang et al., Hello Edge: depthwise-separable blocks on 49 x 10 MFCC features."""
    stem = nn.Conv2d(1, width, (10, 4), 2, (5, 1), bias=False)
    layers = [stem, nn.BatchNorm2d(width), nn.ReLU()]
    for _ in range(blocks):
        layers += [conv_norm(width, width, 3, groups=width, act=nn.ReLU), conv_norm(width, width, 1, act=nn.ReLU)]
    return nn.Sequential(*layers, *head(width))


SMALL_STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
HALF_STAGES = ((1, 8, 1, 1), (6, 16, 2, 1), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1))
VGG11 = (1, None, 2, None, 4, 4, None, 8, 8, None, 8, 8, None)

# name: (how it is made, shape of a sample)
NETWORKS = {
    "mlp": (mlp, (1, 28, 28)),
    "lenet": (lenet, (1, 28, 28)),
    "resnet20": (lambda: resnet((16, 32, 64), 3), (3, 32, 32)),
    "resnet18": (lambda: resnet((64, 128, 256, 512), 2), (3, 32, 32)),
    "resnet18_w16": (lambda: resnet((16, 32, 64, 128), 2), (3, 32, 32)),
    "mobilenetv2": (lambda: mobilenetv2(16, SMALL_STAGES, None), (3, 32, 32)),
    "mobilenetv2_w05": (lambda: mobilenetv2(16, HALF_STAGES, 320), (3, 32, 32)),
    "vgg11bn_w16": (lambda: vgg([w and 16 * w for w in VGG11]), (3, 32, 32)),
    "dscnn": (dscnn, (1, 49, 10)),
}


def make(name, seed=0):
    torch.manual_seed(seed)
    return NETWORKS[name][0]()


def export(model, shape, path):
    """Training form: batch normalisation with training_mode = 1, nothing folded, symbolic batch."""
    was = model.training
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is an old one
        torch.onnx.export(model, torch.zeros(2, *shape), path, input_names=["input"], output_names=["output"],
                          dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}}, opset_version=17,
                          dynamo=False, training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)
    model.train(was)


def multiply_adds(model, shape):
    """Of the forward pass of a sample."""
    total = [0]

    def count(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            total[0] += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total[0] += output[0].numel() * module.in_features

    hooks = [m.register_forward_hook(count) for m in model.modules()]
    was = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape))
    model.train(was)
    for h in hooks:
        h.remove()
    return total[0]
