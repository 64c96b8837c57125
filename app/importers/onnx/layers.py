"""Linear layers and functions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from app.importers.onnx.axes import FEATURES, Unknown
from app.importers.onnx.poolings import names_of
from app.importers.onnx.values import Pooled, Steps, Value, Walk

FUNCTIONS = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Selu": "selu",
    "Gelu": "gelu",
    "Softplus": "softplus",
}


def gemm(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    attributes = node["attributes"]
    weight = walk.constant(node["inputs"][1])
    if (
        weight is None
        or attributes.get("transA")
        or {attributes.get("alpha", 1.0), attributes.get("beta", 1.0)} != {1.0}
    ):
        raise Unknown
    bias = walk.constant(node["inputs"][2]) if len(node["inputs"]) > 2 else None
    return _linear(walk, data[0], weight if attributes.get("transB") else weight.T, bias)


def matmul(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    weight = walk.constant(node["inputs"][1])
    if weight is None or weight.dim() != 2:
        raise Unknown
    return _linear(walk, data[0], weight.T, None)


def _linear(walk: Walk, value: Value, weight: Tensor, bias: Tensor | None) -> Value:
    if isinstance(value, Steps):
        if value.recurrence is not None:
            raise Unknown  # a layer on each output
        name = f"front{len(walk.between)}"
        walk.between.append(name)
        made: Value = replace(value, axes=(*value.axes[:-1], FEATURES)) if value.axes else value
    else:
        names = names_of(walk, value)
        if not walk.layers:
            walk.pooling = "+".join(names)
        elif names:
            raise Unknown
        name = f"fc{len(walk.layers)}"
        walk.layers.append(name)
        made = Pooled()
    walk.tensors[f"{name}.weight"] = weight.contiguous()
    walk.tensors[f"{name}.bias"] = bias if bias is not None else weight.new_zeros(len(weight))
    return made


def add(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    """The bias of the layer before."""
    bias = next((walk.constants[name] for name in node["inputs"] if name in walk.constants), None)
    names = walk.between if isinstance(data[0], Steps) else walk.layers
    if bias is None or not names or len(data) != 1 or names[-1] in walk.functions:
        raise Unknown
    key = f"{names[-1]}.bias"
    walk.tensors[key] = walk.tensors[key] + bias.flatten()
    return data[0]


def function(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    names = walk.between if isinstance(data[0], Steps) else walk.layers
    if not names or names[-1] in walk.functions:
        raise Unknown
    operation = node["op"]
    slope = node["attributes"].get("alpha")
    if (operation == "LeakyRelu" and abs((slope or 0.01) - 0.01) > 1e-6) or (operation == "Elu" and (slope or 1) != 1):
        raise Unknown
    is_other = node["attributes"].get("approximate", "none") != "none"  # of Gelu
    if is_other or (operation in ("Softmax", "LogSoftmax") and node["attributes"].get("axis", -1) not in (-1, 1)):
        raise Unknown
    walk.functions[names[-1]] = FUNCTIONS.get(operation, "softmax")
    return data[0]
