"""A graph of ONNX while it is written. Values are names; rows are (batch, steps, features)."""

from collections.abc import Mapping
from typing import assert_never

import torch
from torch import Tensor

from app.errors import ExportFailed
from app.export.onnx import protobuf
from app.export.onnx.protobuf import Attribute, Shape
from app.store.layer import Layer
from app.store.recurrence import Activation

_NODES = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "elu": "Elu",
    "selu": "Selu",
    "softplus": "Softplus",
    "softsign": "Softsign",
}


class Graph:
    """`weights` are the tensors of the network by our names."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._count = 0

    def input(self, name: str, kind: int, shape: Shape) -> str:
        self._inputs.append(protobuf.value(name, kind, shape))
        return name

    def output(self, name: str, value: str, shape: Shape, kind: int = protobuf.FLOAT) -> None:
        """Name a value, as an output of the graph."""
        self._nodes.append(protobuf.node("Identity", [value], [name], {}))
        self._outputs.append(protobuf.value(name, kind, shape))

    def node(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """The first output of a new node."""
        return self.nodes(operator, inputs, 1, attributes)[0]

    def nodes(
        self, operator: str, inputs: tuple[str, ...], count: int, attributes: Mapping[str, Attribute]
    ) -> list[str]:
        """All outputs of a new node."""
        self._count += 1
        names = [f"{operator.lower()}_{self._count}" + (f"_{place}" if place else "") for place in range(count)]
        self._nodes.append(protobuf.node(operator, inputs, names, attributes))
        return names

    def constant(self, values: Tensor | list[int] | list[float]) -> str:
        """The name of a tensor; numbers without a type are int64 or float32."""
        self._count += 1
        name = f"tensor_{self._count}"
        self._tensors.append(protobuf.tensor(name, values if isinstance(values, Tensor) else torch.tensor(values)))
        return name

    def weight(self, name: str) -> str:
        return self.constant(self.weights[name].float())

    def written(self, name: str) -> bytes:
        return protobuf.graph(name, self._nodes, self._tensors, self._inputs, self._outputs)

    def turned(self, value: str, *order: int) -> str:
        return self.node("Transpose", value, perm=list(order))

    def linear(self, value: str, prefix: str) -> str:
        """value (..., inputs) to (..., outputs), by `prefix.weight` and, if there is one, `prefix.bias`."""
        product = self.node("MatMul", value, self.constant(self.weights[f"{prefix}.weight"].float().T.contiguous()))
        has_bias = f"{prefix}.bias" in self.weights
        return self.node("Add", product, self.weight(f"{prefix}.bias")) if has_bias else product

    def layer(self, value: str, layer: Layer, linear: str, norm: str) -> str:
        """A linear layer, batch normalisation, and a function."""
        if layer.norm == "before":
            value = self.normed(value, norm, layer.epsilon)
        value = self.linear(value, linear)
        if layer.norm == "after":
            value = self.normed(value, norm, layer.epsilon)
        return self.applied(layer.activation, value, layer.slope)

    def normed(self, value: str, prefix: str, epsilon: float = 1e-5) -> str:
        """Batch normalisation of (..., features), as it is after training."""
        w = {key: self.weights[f"{prefix}.{key}"].double() for key in ("weight", "bias", "running_mean", "running_var")}
        scale = w["weight"] / torch.sqrt(w["running_var"] + epsilon)
        return self.affine(value, scale.float(), (w["bias"] - w["running_mean"] * scale).float())

    def affine(self, value: str, scale: Tensor, shift: Tensor) -> str:
        return self.node("Add", self.node("Mul", value, self.constant(scale)), self.constant(shift))

    def applied(self, activation: Activation, value: str, slope: float = 0.01) -> str:
        """A function of each number."""
        match activation:
            case "none":
                return value
            case "relu" | "tanh" | "sigmoid" | "elu" | "selu" | "softplus" | "softsign":
                return self.node(_NODES[activation], value)
            case "leaky_relu":
                return self.node("LeakyRelu", value, alpha=slope)
            case "swish":
                return self.node("Mul", value, self.node("Sigmoid", value))
            case "gelu":
                error = self.node("Erf", self.node("Mul", value, self.constant(torch.tensor(0.5**0.5))))
                share = self.affine(error, torch.tensor(0.5), torch.tensor(0.5))
                return self.node("Mul", value, share)
            case "hard_sigmoid_5":
                return self.node("HardSigmoid", value, alpha=0.2, beta=0.5)
            case "hard_sigmoid_6":
                return self.node("HardSigmoid", value, alpha=1 / 6, beta=0.5)
            case _:
                assert_never(activation)


def recurrent_function(activation: Activation, slope: float) -> tuple[str, list[float], list[float]]:
    """The name of a function inside a recurrence, and its alpha and beta. Raises ExportFailed for one that ONNX does
    not have there."""
    match activation:
        case "relu" | "tanh" | "sigmoid" | "softplus" | "softsign":
            return _NODES[activation], [], []
        case "none":
            return "Affine", [1.0], [0.0]
        case "leaky_relu":
            return "LeakyRelu", [slope], []
        case "elu":
            return "Elu", [1.0], []
        case "hard_sigmoid_5":
            return "HardSigmoid", [0.2], [0.5]
        case "hard_sigmoid_6":
            return "HardSigmoid", [1 / 6], [0.5]
        case "selu" | "gelu" | "swish":
            raise ExportFailed(f"ONNX has no recurrence with {activation}; use --format pytorch")
        case _:
            assert_never(activation)
