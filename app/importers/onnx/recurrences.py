"""LSTM, GRU and RNN nodes, as both exporters of torch write them, by torch's names."""

from collections.abc import Mapping
from typing import Any

import torch

from app.importers.onnx.axes import BATCH, FEATURES, NEW, OUTPUTS, STEPS, Unknown
from app.importers.onnx.values import Hidden, Steps, Value, Walk

GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}  # from i, o, f, c and z, r, h
_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def recurrence(walk: Walk, node: Mapping[str, Any]) -> None:
    kind, inputs, attributes = node["op"], node["inputs"], node["attributes"]
    source = walk.values[inputs[0]]
    if not isinstance(source, Steps) or any(name in walk.values for name in inputs[5:7]):
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
    order = GATES[kind]
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
    made: list[Value] = [Steps(number, OUTPUTS), Hidden(tuple((number, place) for place in range(directions)))]
    for name, value in zip(node["outputs"], made, strict=False):
        if name:
            walk.values[name] = value


def _check_is_read_by_steps(walk: Walk, source: Steps) -> None:
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
    length, rows = walk.shape[steps], 1 if axes[1] == NEW else walk.shape[int(axes[1])]
    if not isinstance(length, int) and isinstance(rows, int) and (rows != 1 or "batch" in str(length).lower()):
        raise Unknown  # it recurs over the rows of a batch; one row and free steps are an export for one source
    if len(walk.shape) == 3 and isinstance(walk.shape[steps], int):
        walk.window = walk.shape[steps]


def _check_settings(walk: Walk, kind: str, attributes: Mapping[str, Any], directions: int) -> None:
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
