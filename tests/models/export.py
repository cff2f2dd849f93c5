#!/usr/bin/env python3
"""Writes the small ONNX models of this folder (needs torch and onnx): python tests/models/export.py"""
import os
import torch, torch.nn as nn

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = {
    # every operator family of the first models in one small network
    "cnn": (nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 5), nn.Tanh(),
                          nn.AvgPool2d(2), nn.Flatten(), nn.Linear(200, 24), nn.LeakyReLU(0.1), nn.Linear(24, 10)), (1, 28, 28)),
    "mlp": (nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10)), (1, 28, 28)),
    "softmax": (nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1)), (1, 28, 28)),
}

for seed, (name, (model, shape)) in enumerate(MODELS.items()):
    torch.manual_seed(seed)
    for p in model.parameters():
        nn.init.uniform_(p, -0.1, 0.1)
    torch.onnx.export(model, torch.zeros(2, *shape), f"{HERE}/{name}.onnx", input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}}, opset_version=17, dynamo=False)
