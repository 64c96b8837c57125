"""Graphs of ONNX as a state dict by torch's names, and what the graph says that a state dict does not: poolings and
functions. Recurrences are `LSTM`, `GRU` and `RNN` nodes, as both exporters of torch write them.

The walk knows for each value what it is: nothing of it is computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.onnx_axes import (
    BATCH,
    FEATURES,
    NEW,
    OUTPUTS,
    SIDES,
    STATES,
    STEPS,
    Axes,
    Unknown,
    permuted,
    place_of,
    reshaped,
    squeezed,
    unsqueezed,
)
from app.importers.reading import ForeignObject

_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}  # from i, o, f, c and z, r, h
_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
_FUNCTIONS = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Selu": "selu",
    "Gelu": "gelu",
    "Softplus": "softplus",
}
_SAME = {"Cast", "Identity", "Dropout"}
_MOVED = {"Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten"}
_REDUCED = {
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceSum": "sum",
    "GlobalAveragePool": "mean",
    "GlobalMaxPool": "max",
}
_LOOPS = ("Loop", "Scan", "If")
_FARTHEST = 2**31 - 1  # an end of Slice that means the last step
_ADVICE = "give the file that the framework itself saved (.pth, .keras)"


@dataclass(frozen=True)
class Graph:
    """Tensors by torch's names in the order of the graph, and values of options that the graph says."""

    tensors: Mapping[str, Tensor]
    answers: Mapping[str, str]
    window: int | None = None


@dataclass(frozen=True)
class _Steps:
    """A value for each step: the source, an embedding, outputs of a recurrence (of its number)."""

    recurrence: int | None = None
    axes: Axes = ()


@dataclass(frozen=True)
class _Hidden:
    """Last states: number of the recurrence and direction of each."""

    states: tuple[tuple[int, int], ...]
    axes: Axes = STATES


@dataclass(frozen=True)
class _Pooled:
    """Vectors of a source, side by side: the names of poolings, none after a layer of the head."""

    names: tuple[str, ...] = ()


_Value = _Steps | _Hidden | _Pooled


@dataclass
class _Walk:
    constants: dict[str, Tensor]
    values: dict[str, _Value] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    directions: list[int] = field(default_factory=list)
    pooling: str | None = None
    between: list[str] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)  # of the head, by name
    functions: dict[str, str] = field(default_factory=dict)  # of each layer
    nonlinearity: str | None = None
    window: int | None = None
    shape: Sequence[Any] = ()  # of the source

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of axes that are known."""
        return {str(axis): size for axis, size in enumerate(self.shape) if isinstance(size, int)}

    def constant(self, name: str) -> Tensor | None:
        return self.constants.get(name)

    def whole(self, name: str) -> list[int]:
        """The whole numbers of a constant; empty if it is none."""
        tensor = self.constants.get(name)
        return [] if tensor is None or tensor.is_floating_point() else [int(n) for n in tensor.flatten().tolist()]


def graph_of(stub: ForeignObject, name: str) -> Graph:
    """Raises ImportFailed for a graph with other parts."""
    graph = stub.state["graph"]
    constants = {key: tensor for key, tensor in graph["initializers"].items() if isinstance(tensor, Tensor)}
    walk = _Walk(constants)
    for source, shape in graph["inputs"].items():
        if source not in constants:
            walk.values[source] = _Steps(axes=tuple(str(axis) for axis in range(len(shape or ()))))
            walk.shape = walk.shape or shape or ()
    if loop := next((node for node in graph["nodes"] if node["op"] in _LOOPS), None):
        raise _refused(name, loop)
    for node in graph["nodes"]:
        try:
            _walk_node(walk, node)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise _refused(name, node) from error
        except Unknown as error:
            raise _refused(name, node) from error
    answers = _answers(walk)
    last = walk.layers[-1] if walk.layers else ""
    if answers.get("outputs") == "softmax":  # the name marks labels
        walk.tensors = {key.replace(f"{last}.", "classifier."): tensor for key, tensor in walk.tensors.items()}
    return Graph(walk.tensors, answers, walk.window)


def _refused(name: str, node: Mapping[str, Any]) -> ImportFailed:
    what = f"{node['op']}{' ' + node['name'] if node['name'] else ''}"
    if node["op"] in _LOOPS:
        return ImportFailed(
            f"{name}: the ONNX graph has graphs inside of its node {what}, and these are not read: only LSTM, GRU and "
            f"RNN nodes of the graph itself are (Keras and tf2onnx write a recurrence as a loop): {_ADVICE}"
        )
    return ImportFailed(f"{name}: node {what} of the ONNX graph is not known here: {_ADVICE}")


def _walk_node(walk: _Walk, node: Mapping[str, Any]) -> None:
    operation, inputs, outputs = node["op"], node["inputs"], node["outputs"]
    data = [walk.values[name] for name in inputs if name in walk.values]
    if operation == "Constant":
        if isinstance(tensor := _constant_of(node["attributes"]), Tensor):
            walk.constants[outputs[0]] = tensor
    elif not data:
        _fold(walk, node)
    elif operation in _GATES:
        _recurrence(walk, node)
    elif operation in _RULES:
        walk.values[outputs[0]] = _RULES[operation](walk, node, data)
    elif operation == "Shape":
        pass
    else:
        raise Unknown


def _constant_of(attributes: Mapping[str, Any]) -> Any:
    if "value" in attributes:
        return attributes["value"]
    plain = next((value for key, value in attributes.items() if key.startswith("value_")), None)
    return torch.tensor(plain) if isinstance(plain, int | float | list) else None


def _fold(walk: _Walk, node: Mapping[str, Any]) -> None:
    """Constants of constants, as far as weights need them. Shapes are not followed."""
    mine = [walk.constants.get(name) for name in node["inputs"]]
    if not mine or mine[0] is None:
        return
    attributes, operation, made = node["attributes"], node["op"], mine[0]
    shape = [int(n) for n in mine[1].flatten().tolist()] if len(mine) > 1 and mine[1] is not None else []
    if operation == "Transpose":
        made = made.permute(attributes.get("perm") or list(range(made.dim()))[::-1])
    elif operation == "Reshape":
        made = made.reshape(shape)
    elif operation == "Unsqueeze":
        for axis in shape or attributes.get("axes", []):
            made = made.unsqueeze(axis)
    elif operation == "Squeeze":
        made = made.squeeze()
    elif operation == "Concat":
        parts = [tensor for tensor in mine if tensor is not None]
        if len(parts) < len(mine):
            return
        made = torch.cat(parts, attributes.get("axis", 0))
    elif operation not in ("Identity", "Cast"):
        return
    walk.constants[node["outputs"][0]] = made.contiguous()


def _recurrence(walk: _Walk, node: Mapping[str, Any]) -> None:
    kind, inputs, attributes = node["op"], node["inputs"], node["attributes"]
    source = walk.values[inputs[0]]
    if not isinstance(source, _Steps) or any(name in walk.values for name in inputs[5:7]):
        raise Unknown
    _check_is_read_by_steps(walk, source)
    parts = [walk.constants.get(name) if name else None for name in [*inputs, *[""] * 8][:8]]
    weights, recurrent, bias, _, hidden, cell, peepholes = (parts[place] for place in (1, 2, 3, 4, 5, 6, 7))
    if weights is None or recurrent is None or peepholes is not None:
        raise Unknown
    if any(state is not None and bool(state.any()) for state in (hidden, cell)):
        raise Unknown  # a first state that was learned
    number = len(walk.directions)
    directions = len(weights)
    _check_settings(walk, kind, attributes, directions)
    size = recurrent.shape[2]
    order = _GATES[kind]
    for place in range(directions):
        end = "_reverse" if place else ""
        both = bias[place] if bias is not None else weights.new_zeros(2 * len(order) * size)
        halves = both.chunk(2)
        for key, tensor in (
            ("weight_ih", weights[place]),
            ("weight_hh", recurrent[place]),
            ("bias_ih", halves[0]),
            ("bias_hh", halves[1]),
        ):
            blocks = tensor.chunk(len(order))
            walk.tensors[f"rnn{number}.{key}_l0{end}"] = torch.cat([blocks[block] for block in order])
    walk.directions.append(directions)
    made: list[_Value] = [_Steps(number, OUTPUTS), _Hidden(tuple((number, place) for place in range(directions)))]
    for name, value in zip(node["outputs"], made, strict=False):
        if name:
            walk.values[name] = value


def _check_is_read_by_steps(walk: _Walk, source: _Steps) -> None:
    """Whether a recurrence reads (steps, batch, features). The window is the length of the steps."""
    axes = source.axes
    if source.recurrence is not None:
        if axes != (STEPS, BATCH, FEATURES):
            raise Unknown
        return
    if not axes:
        return
    if len(axes) != 3 or not axes[0].isdecimal() or axes[1] == FEATURES or FEATURES in axes[:2] or axes[2] == NEW:
        raise Unknown
    steps = int(axes[0])
    if axes[1] != NEW and isinstance(walk.shape[int(axes[1])], int) and not isinstance(walk.shape[steps], int):
        raise Unknown  # it recurs over the rows of a batch
    if len(walk.shape) == 3 and isinstance(walk.shape[steps], int):
        walk.window = walk.shape[steps]


def _check_settings(walk: _Walk, kind: str, attributes: Mapping[str, Any], directions: int) -> None:
    functions = list(attributes.get("activations") or _ACTIVATIONS[kind] * directions)
    if kind == "RNN" and functions == ["Relu"] * directions:
        walk.nonlinearity = "relu"
        functions = ["Tanh"] * directions
    usual = functions == _ACTIVATIONS[kind] * directions
    if not usual or attributes.get("direction") == "reverse" or attributes.get("input_forget"):
        raise Unknown
    if attributes.get("layout") or "clip" in attributes:
        raise Unknown
    if kind == "GRU" and not attributes.get("linear_before_reset"):
        raise Unknown  # not the GRU of torch


def _same(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    return data[0]


def _moved(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    """Axes in other places. Vectors have two, whatever is done to them."""
    value, operation, attributes = data[0], node["op"], node["attributes"]
    if isinstance(value, _Pooled):
        return value
    numbers = walk.whole(node["inputs"][1]) if len(node["inputs"]) > 1 else []
    order = attributes.get("perm")
    axes = value.axes or tuple(str(place) for place in range(len(order or ())))
    number = value.recurrence if isinstance(value, _Steps) else value.states[0][0]
    directions = 1 if number is None else walk.directions[number]
    if operation == "Transpose":
        axes = permuted(axes, order or range(len(axes))[::-1])
    elif operation == "Squeeze":
        axes = squeezed(axes, numbers or attributes.get("axes", []), directions)
    elif operation == "Unsqueeze":
        axes = unsqueezed(axes, numbers or attributes.get("axes", []))
    elif operation == "Reshape":
        axes = reshaped(axes, numbers, walk.sizes, directions)
    elif axes == (BATCH, SIDES, FEATURES):  # Flatten
        axes = (BATCH, FEATURES)
    elif axes != (BATCH, FEATURES):
        raise Unknown
    return replace(value, axes=axes)


def _along(value: _Value, axis: int) -> str:
    """The name of an axis."""
    if isinstance(value, _Pooled):
        raise Unknown
    return value.axes[place_of(value.axes, axis)]


def _gather(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    table, axis = walk.constant(node["inputs"][0]), node["attributes"].get("axis", 0)
    if table is not None and table.dim() == 2 and axis == 0:
        if not isinstance(data[0], _Steps) or data[0].recurrence is not None:
            raise Unknown
        walk.tensors["embedding.weight"] = table
        return _Steps(axes=(*data[0].axes, FEATURES) if data[0].axes else ())
    return _picked(walk, data[0], walk.whole(node["inputs"][1]), axis)


def _slice(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    inputs, attributes = node["inputs"], node["attributes"]
    starts, ends = (
        walk.whole(inputs[place]) if len(inputs) > place else list(attributes.get(name, []))
        for place, name in ((1, "starts"), (2, "ends"))
    )
    value = data[0]
    axes, steps = (
        walk.whole(inputs[place]) if len(inputs) > place and inputs[place] else list(attributes.get(name, usual))
        for place, name, usual in ((3, "axes", [0]), (4, "steps", [1]))
    )
    if len(starts) != 1 or len(ends) != 1 or len(axes) != 1 or steps != [1]:
        raise Unknown
    if isinstance(value, _Hidden):
        if _along(value, axes[0]) != SIDES:
            raise Unknown
        states = value.states[starts[0] : min(ends[0], _FARTHEST)]
        return replace(value, states=states)
    if starts[0] == 0 and ends[0] >= _FARTHEST:
        return value
    if starts[0] == -1 and ends[0] >= _FARTHEST:
        return _picked(walk, value, starts, axes[0])
    if walk.window is not None and (starts[0], ends[0]) == (walk.window - 1, walk.window):
        return _picked(walk, value, [-1], axes[0])
    raise Unknown


def _picked(walk: _Walk, value: _Value, index: Sequence[int], axis: int) -> _Value:
    if len(index) != 1 or _along(value, axis) != (SIDES if isinstance(value, _Hidden) else STEPS):
        raise Unknown
    if isinstance(value, _Hidden):
        return _Hidden((value.states[index[0]],), tuple(name for name in value.axes if name != SIDES))
    is_last = index[0] == -1 or (walk.window is not None and index[0] == walk.window - 1)
    if isinstance(value, _Steps) and value.recurrence is not None and is_last:
        _check_is_joined(walk, value)
        return _Pooled((_last(walk, value.recurrence),))
    raise Unknown


def _check_is_joined(walk: _Walk, value: _Steps) -> None:
    """Whether both directions of an output are side by side."""
    if SIDES in value.axes and value.recurrence is not None and walk.directions[value.recurrence] > 1:
        raise Unknown


def _last(walk: _Walk, recurrence: int) -> str:
    if recurrence != len(walk.directions) - 1:
        raise Unknown
    return "last" if walk.directions[recurrence] == 1 else "last_output"


def _reduced(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    value, inputs = data[0], node["inputs"]
    if not isinstance(value, _Steps) or value.recurrence is None:
        raise Unknown
    if node["op"].startswith("Global"):
        places = [-1] if value.axes == (BATCH, FEATURES, STEPS) else []
    else:
        places = walk.whole(inputs[1]) if len(inputs) > 1 else node["attributes"].get("axes", [])
    if len(places) != 1 or _along(value, places[0]) != STEPS:
        raise Unknown
    _check_is_joined(walk, value)
    return _Pooled((_REDUCED[node["op"]],))


def _concat(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    if len(data) < len(node["inputs"]):
        raise Unknown
    axis = node["attributes"].get("axis", 0)
    hidden = [value for value in data if isinstance(value, _Hidden)]
    if len(hidden) == len(data):
        if any(_along(value, axis) not in (SIDES, FEATURES) for value in hidden):
            raise Unknown
        return replace(hidden[0], states=tuple(state for value in hidden for state in value.states))
    if axis == 0:
        raise Unknown
    return _Pooled(tuple(name for value in data for name in _names(walk, value)))


def _names(walk: _Walk, value: _Value) -> tuple[str, ...]:
    """The poolings of a vector."""
    if isinstance(value, _Pooled):
        return value.names
    if isinstance(value, _Steps):
        raise Unknown
    if SIDES in value.axes and len(value.states) > 1:
        raise Unknown
    last = len(walk.directions) - 1
    both = walk.directions[last] == 2
    states: Mapping[tuple[tuple[int, int], ...], str] = {
        ((last, 0), (last, 1)): "last",
        ((last, 1), (last, 0)): "last_backward_first",
        ((last, 0),): "last_forward" if both else "last",
        ((last, 1),): "last_backward",
    }
    if value.states not in states:
        raise Unknown
    return (states[value.states],)


def _gemm(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
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


def _matmul(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    weight = walk.constant(node["inputs"][1])
    if weight is None or weight.dim() != 2:
        raise Unknown
    return _linear(walk, data[0], weight.T, None)


def _linear(walk: _Walk, value: _Value, weight: Tensor, bias: Tensor | None) -> _Value:
    if isinstance(value, _Steps):
        if value.recurrence is not None:
            raise Unknown  # a layer on each output
        name = f"front{len(walk.between)}"
        walk.between.append(name)
        made: _Value = replace(value, axes=(*value.axes[:-1], FEATURES)) if value.axes else value
    else:
        names = _names(walk, value)
        if not walk.layers:
            walk.pooling = "+".join(names)
        elif names:
            raise Unknown
        name = f"fc{len(walk.layers)}"
        walk.layers.append(name)
        made = _Pooled()
    walk.tensors[f"{name}.weight"] = weight.contiguous()
    walk.tensors[f"{name}.bias"] = bias if bias is not None else weight.new_zeros(len(weight))
    return made


def _add(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    """The bias of the layer before."""
    bias = next((walk.constants[name] for name in node["inputs"] if name in walk.constants), None)
    names = walk.between if isinstance(data[0], _Steps) else walk.layers
    if bias is None or not names or len(data) != 1 or names[-1] in walk.functions:
        raise Unknown
    key = f"{names[-1]}.bias"
    walk.tensors[key] = walk.tensors[key] + bias.flatten()
    return data[0]


def _function(walk: _Walk, node: Mapping[str, Any], data: Sequence[_Value]) -> _Value:
    names = walk.between if isinstance(data[0], _Steps) else walk.layers
    if not names or names[-1] in walk.functions:
        raise Unknown
    operation = node["op"]
    slope = node["attributes"].get("alpha")
    if (operation == "LeakyRelu" and abs((slope or 0.01) - 0.01) > 1e-6) or (operation == "Elu" and (slope or 1) != 1):
        raise Unknown
    is_other = node["attributes"].get("approximate", "none") != "none"  # of Gelu
    if is_other or (operation in ("Softmax", "LogSoftmax") and node["attributes"].get("axis", -1) not in (-1, 1)):
        raise Unknown
    walk.functions[names[-1]] = _FUNCTIONS.get(operation, "softmax")
    return data[0]


_RULES: Mapping[str, Callable[[_Walk, Mapping[str, Any], Sequence[_Value]], _Value]] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_MOVED, _moved),
    **dict.fromkeys(_REDUCED, _reduced),
    **dict.fromkeys((*_FUNCTIONS, "Softmax", "LogSoftmax"), _function),
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
}


def _answers(walk: _Walk) -> dict[str, str]:
    """Values of options, which hold where a layout has the option."""
    answers: dict[str, str] = {}
    if walk.pooling:
        answers["pooling"] = walk.pooling
    if walk.nonlinearity:
        answers["nonlinearity"] = walk.nonlinearity
    for option, names in (("activation", walk.layers[:-1]), ("front_activation", walk.between)):
        functions = {walk.functions.get(name, "none") for name in names}
        if len(functions) > 1:
            raise ImportFailed(f"layers of the ONNX graph have different functions ({', '.join(sorted(functions))})")
        if functions:
            answers[option] = functions.pop()
    last = walk.functions.get(walk.layers[-1]) if walk.layers else None
    answers["outputs"] = last if last in ("softmax", "sigmoid") else "none"
    answers["output_activation"] = "none" if last == "softmax" else last or "none"
    if answers["outputs"] == "none":
        del answers["outputs"]
    return answers
