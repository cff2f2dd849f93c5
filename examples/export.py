#!/usr/bin/env python3
"""Writes the example models, as PyTorch's exporter makes them.

    python examples/export.py [FOLDER]

fashion_cnn.onnx: a small convolutional network for 28x28 images, 29,738 parameters.
lenet5.onnx: LeNet-5 with ReLU and max-pooling, 61,706 parameters.
Both start from PyTorch's random initialisation with a fixed seed. Needs torch and onnx.
"""
import os
import sys
import warnings

import torch
from torch import nn


def fashion_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10))


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10))


def export(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, torch.zeros(1, 1, 28, 28), path, opset_version=17, dynamo=False,
            training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
            input_names=["input"], output_names=["output"],
            dynamic_axes={"input": {0: "N"}, "output": {0: "N"}})
    count = sum(p.numel() for p in model.parameters())
    print(f"{path}: {count:,} parameters, {os.path.getsize(path):,} bytes")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for name, make in (("fashion_cnn", fashion_cnn), ("lenet5", lenet5)):
        torch.manual_seed(0)
        export(make(), os.path.join(folder, f"{name}.onnx"))


if __name__ == "__main__":
    main()
