"""Operators that make a vector of the steps: reductions over time, and states side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.importers.onnx.axes import BATCH, FEATURES, SIDES, STEPS, Unknown
from app.importers.onnx.shapes import along, check_is_joined
from app.importers.onnx.values import Hidden, Pooled, Steps, Value, Walk

REDUCED = {
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceSum": "sum",
    "GlobalAveragePool": "mean",
    "GlobalMaxPool": "max",
}


def reduced(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    value, inputs = data[0], node["inputs"]
    if not isinstance(value, Steps) or value.recurrence is None:
        raise Unknown
    if node["op"].startswith("Global"):
        places = [-1] if value.axes == (BATCH, FEATURES, STEPS) else []
    else:
        places = walk.whole(inputs[1]) if len(inputs) > 1 else node["attributes"].get("axes", [])
    if len(places) != 1 or along(value, places[0]) != STEPS:
        raise Unknown
    check_is_joined(walk, value)
    return Pooled((REDUCED[node["op"]],))


def concat(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    if len(data) < len(node["inputs"]):
        raise Unknown
    axis = node["attributes"].get("axis", 0)
    hidden = [value for value in data if isinstance(value, Hidden)]
    if len(hidden) == len(data):
        if any(along(value, axis) not in (SIDES, FEATURES) for value in hidden):
            raise Unknown
        return replace(hidden[0], states=tuple(state for value in hidden for state in value.states))
    if axis == 0:
        raise Unknown
    return Pooled(tuple(name for value in data for name in names_of(walk, value)))


def names_of(walk: Walk, value: Value) -> tuple[str, ...]:
    """The poolings of a vector."""
    if isinstance(value, Pooled):
        return value.names
    if isinstance(value, Steps):
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
