#!/usr/bin/env python3
"""Writes tests/fuzz/corpus/onnx: small ONNX files, good and hostile, for fuzz_onnx and its replay.

Needs nothing but Python: the few protobuf fields in use are encoded by hand, so that files can be
wrong in ways that ONNX's own writers do not allow. Numbers of fields are those of onnx.proto.

    python3 tests/support/make_onnx_corpus.py
"""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "fuzz", "corpus", "onnx")
FLOAT, INT32, INT64, STRING, FLOAT16, DOUBLE, FLOAT8 = 1, 6, 7, 8, 10, 11, 17


def varint(v):
    v &= (1 << 64) - 1
    out = b""
    while v >= 128:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def num(field, v):
    return varint(field << 3) + varint(v)


def data(field, v):
    v = v.encode() if isinstance(v, str) else v
    return varint(field << 3 | 2) + varint(len(v)) + v


def dim(d):
    if d is None:
        return data(1, b"")
    return data(1, data(2, d) if isinstance(d, str) else num(1, d))


def value(name, kind, shape):
    return data(1, name) + data(2, data(1, num(1, kind) + data(2, b"".join(map(dim, shape)))))


def x(name, kind=FLOAT, shape=("N", 2)):
    return data(11, value(name, kind, shape))


def y(name):
    return data(12, data(1, name))


def tensor(name, kind, dims, body):
    return b"".join(num(1, d) for d in dims) + num(2, kind) + body + data(8, name)


def init(name, kind, dims, body):
    return data(5, tensor(name, kind, dims, body))


def floats(*v):
    return data(4, struct.pack(f"<{len(v)}f", *v))


def ints(*v):
    return data(7, b"".join(map(varint, v)))


def raw(b):
    return data(9, b)


def attr(name, kind, body):
    return data(5, data(1, name) + body + num(20, kind))


def a_int(name, v):
    return attr(name, 2, num(3, v))


def a_ints(name, *v):
    return attr(name, 7, b"".join(num(8, i) for i in v))


def node(op, ins, outs, attrs=b"", domain=None):
    return data(1, b"".join(data(1, i) for i in ins) + b"".join(data(2, o) for o in outs) + data(4, op) + attrs
                + (data(7, domain) if domain else b""))


def model(*parts, opset=13, more=b""):
    return num(1, 8) + data(7, b"".join(parts) + data(2, "g")) + data(8, num(2, opset)) + more


def nested(levels):
    body = node("Relu", ["x"], ["y"])
    for _ in range(levels):
        body = node("If", ["c"], ["y"], attr("then_branch", 5, data(6, body)))
    return body


TRAINING = "ai.onnx.preview.training"


def a_text(name, *v, several=False):
    return attr(name, 8 if several else 3, b"".join(data(9 if several else 4, t) for t in v))


def a_float(name, v):
    return attr(name, 1, varint(2 << 3 | 5) + struct.pack("<f", v))


def gradient(ins, outs, xs, loss):
    return node("Gradient", ins, outs, a_text("xs", *xs, several=True) + a_text("y", loss), TRAINING)


def training(algorithm, update, start=b"", begin=""):
    """A training_info; bindings are "key value" with a comma between two."""
    pairs = [(3, begin), (4, update)]
    bound = b"".join(data(f, data(1, p.split()[0]) + data(2, p.split()[1])) for f, t in pairs for p in t.split(",") if p)
    return data(20, data(1, start) + data(2, algorithm) + bound)


RELU = x("x") + node("Relu", ["x"], ["y"]) + y("y")
NET = x("x") + init("w", FLOAT, [2, 2], floats(1, 2, 3, 4)) + node("MatMul", "xw", "y") + y("y")
LOSS = (x("t") + node("Sub", "yt", "d") + node("Mul", "dd", "q") + node("ReduceMean", "q", "l") + gradient("w", "g", "w", "l")
        + init("R", FLOAT, [], floats(0.5)) + init("T", INT64, [], ints(0)) + init("o", INT64, [], ints(1))
        + init("V", FLOAT, [2, 2], floats(0, 0, 0, 0)) + init("H", FLOAT, [2, 2], floats(0, 0, 0, 0)) + node("Add", "To", "U"))
MOMENTUM = (a_float("alpha", 0.9) + a_float("beta", 0.5) + a_float("norm_coefficient", 0) + a_text("mode", "nesterov"))
RANDOM = node("RandomNormal", "", "n", a_ints("shape", 2, 2)) + node("RandomUniformLike", "n", "u", a_float("seed", 1))
W = init("w", FLOAT, [2, 3], floats(1, 2, 3, 4, 5, 6))
GEMM = x("x") + W + init("b", FLOAT, [3], raw(struct.pack("<3f", 1, 2, 3)))
HUGE = 1 << 62

FILES = {
    # models as they should be
    "mlp": model(GEMM, node("Gemm", "xwb", "h"), node("Relu", "h", "r"), node("Softmax", "r", "y"), y("y")),
    "conv": model(x("x", FLOAT, ["N", 1, 6, 6]), init("w", FLOAT, [1, 1, 3, 3], floats(*range(9))),
                  node("Conv", "xw", "c", a_ints("strides", 1, 1) + a_ints("pads", 1, 1, 1, 1) + a_int("group", 1)),
                  node("MaxPool", "c", "p", a_ints("kernel_shape", 2, 2) + a_ints("strides", 2, 2)),
                  node("Flatten", "p", "y"), y("y")),
    "shapes": model(x("x", FLOAT, ["N", 2, 3]), node("Shape", "x", "s"), node("Constant", "", "i", a_int("value_int", 0)),
                    node("Gather", "si", "n"), node("Constant", "", "o", a_ints("value_ints", 0)), node("Unsqueeze", "no", "u"),
                    init("m", INT64, [1], ints(-1)), node("Concat", "um", "t", a_int("axis", 0)), node("Reshape", "xt", "y"), y("y")),
    "fixed_batch": model(x("x", FLOAT, [1, 1, 4]), x("label", INT64, [1]), node("Relu", "x", "y"), y("y")),
    "old_inputs": model(x("x"), x("w", FLOAT, [2, 3]), W, node("MatMul", "xw", "y"), y("y"), opset=7),
    "unsorted": model(x("x"), node("Relu", "b", "y"), node("Relu", "a", "b"), node("Relu", "x", "a"), y("y")),
    "types": model(RELU, init("h", FLOAT16, [2], data(5, varint(0x3c00) + varint(0xfbff))),
                   init("d", DOUBLE, [1], raw(struct.pack("<d", -0.5))), init("i", INT32, [2], data(5, varint(-1) + varint(7)))),
    "sparse": model(RELU, data(15, data(1, tensor("s", FLOAT, [2], floats(1, 2))) + data(2, tensor("", INT64, [2], ints(1, 3)))
                               + num(3, 2) + num(3, 2))),
    "opaque": model(RELU, node("NoSuchOp", "y", "z"), node("Relu", "y", "u", domain="ai.onnx.ml"), y("z")),
    "strings": model(RELU, init("s", STRING, [1], data(6, "cat")), node("ArrayFeatureExtractor", "sy", "z", domain="ai.onnx.ml"), y("z")),
    "subgraph": model(x("x"), x("c", 9, ["N", 1]), nested(3), y("y")),
    "unknown_fields": model(RELU, data(900, "later"), more=data(1000, "later") + num(1001, 5)),
    "training_adam": model(NET, more=training(LOSS + node("Adam", "RTwgVH", "abc", b"", TRAINING), "T U,w a,V b,H c", RANDOM,
                                              "w n,V u")),
    "training_momentum": model(NET, more=training(LOSS + node("Momentum", "RTwgV", "ab", MOMENTUM, TRAINING), "w a,V b")),
    "training_adagrad": model(NET, more=training(LOSS + node("Adagrad", "RUwgH", "ab", a_float("decay_factor", 0.1), TRAINING),
                                                 "T U,w a,H b")),
    "training_sub": model(NET, more=training(LOSS + node("Mul", "Rg", "s") + node("Sub", "ws", "a"), "w a")),
    # trainings that are not possible
    "training_circle": model(NET, more=training(LOSS + node("Identity", "b", "a") + node("Identity", "a", "b"), "w a")),
    "training_itself": model(NET, more=training(LOSS + node("Momentum", "RTwgV", "wV", MOMENTUM, TRAINING), "w w,V V")),
    "training_states": model(NET, more=training(LOSS + node("Adam", "RTwgVV", "abb", b"", TRAINING), "w a,V b")),
    "training_swapped": model(NET, more=training(LOSS + node("Momentum", "RTVgw", "ab", MOMENTUM, TRAINING), "w b,V a")),
    "training_gradient": model(NET, more=training(gradient(["w"], ["g"], "w", "g") + node("Sub", "wg", "a"), "w a")),
    "training_nothing": model(NET, more=training(b"", "w y", b"", "w y")),
    "training_arity": model(NET, more=training(LOSS + node("Adam", "R", "", b"", TRAINING) + node("Momentum", "", "a", b"", TRAINING),
                                               "w a")),
    "training_start": model(NET, more=training(LOSS, "", node("RandomNormal", "", "n", a_ints("shape", HUGE, -1, HUGE)), "w n")),
    "training_huge": model(NET, more=training(LOSS + init("S", INT64, [], ints(HUGE)) + init("Q", FLOAT, [], floats(1e38))
                                              + node("Momentum", "QSwgV", "ab", MOMENTUM, TRAINING), "w a,V b")),
    # not models
    "empty": b"",
    "text": b"#!/bin/sh\necho this is no model\n",
    "no_graph": num(1, 8) + data(8, num(2, 13)),
    "two_graphs": num(1, 8) + data(7, RELU) + data(7, RELU) + data(8, num(2, 13)),
    "truncated": model(GEMM, node("Gemm", "xwb", "y"), y("y"))[:-40],
    "length_beyond_end": num(1, 8) + b"\x3a\xff\xff\xff\xff\x0f" + b"abc",
    "endless_varint": b"\x08" + b"\xff" * 30,
    "nul_in_name": model(x("x"), node("Relu", ["x"], ["y\0z"]), y("y")),
    "deep": model(x("x"), nested(60), y("y")),
    "group_wire_type": b"\x3b\x08\x01\x3c",
    # graphs that are not possible
    "cycle": model(x("x"), node("Add", "xc", "a"), node("Relu", "a", "b"), node("Relu", "b", "c"), y("c")),
    "self_cycle": model(x("x"), node("Add", "xy", "y"), y("y")),
    "missing_value": model(x("x"), node("Add", "xw", "y"), y("y")),
    "missing_output": model(RELU, y("z")),
    "no_output": model(x("x")),
    "no_input": model(W, node("Relu", "w", "y"), y("y")),
    "duplicate_output": model(RELU, node("Relu", "x", "y")),
    "duplicate_initializer": model(RELU, W, W),
    "duplicate_input": model(RELU, x("x")),
    "no_opset": num(1, 8) + data(7, RELU),
    "old_opset": model(RELU, opset=1),
    "future_opset": model(RELU, opset=30000),
    "huge_opset": model(RELU, opset=HUGE),
    "arity": model(x("x"), node("Relu", "xxx", "yz"), y("y")),
    "empty_operand": model(x("x"), node("Add", ["", "x"], ["y"]), y("y")),
    # attributes
    "unknown_attribute": model(GEMM, node("Gemm", "xwb", "y", a_int("nosuch", 1)), y("y")),
    "attribute_type": model(GEMM, node("Gemm", "xwb", "y", a_int("alpha", 1)), y("y")),
    "attribute_twice": model(GEMM, node("Gemm", "xwb", "y", a_int("transA", 0) * 2), y("y")),
    "attribute_tensor_gone": model(x("x"), node("Constant", "", "c", attr("value", 4, b"")), node("Add", "xc", "y"), y("y")),
    "huge_pads": model(x("x", FLOAT, ["N", 1, 4, 4]), init("w", FLOAT, [1, 1, 1, 1], floats(1)),
                       node("Conv", "xw", "y", a_ints("pads", HUGE, HUGE, HUGE, HUGE)), y("y")),
    "negative_stride": model(x("x", FLOAT, ["N", 1, 4, 4]),
                             node("MaxPool", "x", "y", a_ints("kernel_shape", 2, 2) + a_ints("strides", -1, 0)), y("y")),
    "huge_kernel": model(x("x", FLOAT, ["N", 1, 4, 4]),
                         node("MaxPool", "x", "y", a_ints("kernel_shape", HUGE, HUGE) + a_ints("dilations", HUGE, 1)), y("y")),
    "huge_axis": model(x("x"), node("Softmax", "x", "y", a_int("axis", HUGE)), y("y")),
    "transpose_twice": model(x("x"), node("Transpose", "x", "y", a_ints("perm", 0, 0)), y("y")),
    # extents and shapes
    "huge_extent": model(x("x", FLOAT, ["N", HUGE]), node("Relu", "x", "y"), y("y")),
    "overflowing_input": model(x("x", FLOAT, ["N"] + [2147483647] * 3), node("Relu", "x", "y"), y("y")),
    "rank_9": model(x("x", FLOAT, ["N"] + [1] * 8), node("Relu", "x", "y"), y("y")),
    "symbolic_axis": model(x("x", FLOAT, ["N", "seq", None]), node("Relu", "x", "y"), y("y")),
    "no_batch": model(x("x", FLOAT, [2]), node("Relu", "x", "y"), y("y")),
    "batch_twice": model(x("x", FLOAT, ["N", "N"]), node("Relu", "x", "y"), y("y")),
    "wrong_rank": model(x("x"), init("w", FLOAT, [1, 1, 1, 1], floats(1)), node("Conv", "xw", "y"), y("y")),
    "gemm_mismatch": model(x("x", FLOAT, ["N", 5]), W, node("MatMul", "xw", "y"), y("y")),
    "reshape_overflow": model(x("x"), init("s", INT64, [3], ints(HUGE, HUGE, HUGE)), node("Reshape", "xs", "y"), y("y")),
    "reshape_two_minus_ones": model(x("x"), init("s", INT64, [2], ints(-1, -1)), node("Reshape", "xs", "y"), y("y")),
    "constant_of_huge_shape": model(x("x"), init("s", INT64, [2], ints(1 << 30, 1 << 30)), node("ConstantOfShape", "s", "c"),
                                    node("Add", "xc", "y"), y("y")),
    "divide_by_zero": model(x("x"), init("a", INT64, [1], ints(5)), init("z", INT64, [1], ints(0)), node("Div", "az", "s"),
                            node("Reshape", "xs", "y"), y("y")),
    "slice_ends": model(x("x"), init("a", INT64, [3], ints(1, 2, 3)), init("b", INT64, [1], ints(-HUGE * 2)),
                        init("e", INT64, [1], ints(HUGE * 2 - 1)), init("n", INT64, [1], ints(0)), node("Slice", "abenn", "s"),
                        node("Reshape", "xs", "y"), y("y")),
    # tensors
    "tensor_huge_dims": model(RELU, init("w", FLOAT, [HUGE, HUGE], floats(1))),
    "tensor_large_dims": model(RELU, init("w", FLOAT, [1 << 20, 1 << 10], floats(1))),
    "tensor_negative_dim": model(RELU, init("w", FLOAT, [-1], floats(1))),
    "tensor_short": model(RELU, init("w", FLOAT, [3], raw(b"1234567"))),
    "tensor_two_encodings": model(RELU, init("w", FLOAT, [1], floats(1) + raw(b"1234"))),
    "tensor_wrong_field": model(RELU, init("w", FLOAT, [1], ints(1))),
    "tensor_float8": model(RELU, init("w", FLOAT8, [1], raw(b"1"))),
    "tensor_type_99": model(RELU, init("w", 99, [1], raw(b"1"))),
    "tensor_segment": model(RELU, init("w", FLOAT, [1], floats(1) + data(3, num(1, 0) + num(2, 1)))),
    "tensor_double_overflow": model(RELU, init("w", DOUBLE, [1], raw(struct.pack("<d", 1e300)))),
    "tensor_uint64_overflow": model(RELU, init("w", 13, [1], data(11, varint(HUGE * 2)))),
    "external": model(RELU, init("w", FLOAT, [1], data(13, data(1, "location") + data(2, "/etc/passwd")) + num(14, 1))),
    "external_above": model(RELU, init("w", FLOAT, [1], data(13, data(1, "location") + data(2, "../../etc/passwd")) + num(14, 1))),
    "sparse_huge": model(RELU, data(15, data(1, tensor("s", FLOAT, [1], floats(1))) + data(2, tensor("", INT64, [1], ints(0)))
                                    + num(3, 1 << 31) + num(3, 1 << 20))),
    "sparse_outside": model(RELU, data(15, data(1, tensor("s", FLOAT, [1], floats(1))) + data(2, tensor("", INT64, [1], ints(9)))
                                       + num(3, 2))),
    "sparse_descending": model(RELU, data(15, data(1, tensor("s", FLOAT, [2], floats(1, 2)))
                                          + data(2, tensor("", INT64, [2], ints(1, 0))) + num(3, 2))),
    "strings_needed": model(x("x"), init("s", STRING, [1], data(6, "cat")), node("Add", "xs", "y"), y("y")),
}

os.makedirs(OUT, exist_ok=True)
for name, content in FILES.items():
    assert len(content) <= 4096, (name, len(content))
    with open(os.path.join(OUT, name + ".onnx"), "wb") as f:
        f.write(content)
print(len(FILES), "files")
