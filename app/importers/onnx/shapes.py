"""Operators that move axes, or pick one place of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.importers.onnx.axes import (
    BATCH,
    FEATURES,
    SIDES,
    STEPS,
    Unknown,
    permuted,
    place_of,
    reshaped,
    squeezed,
    unsqueezed,
)
from app.importers.onnx.values import Hidden, Pooled, Steps, Value, Walk

_FARTHEST = 2**31 - 1  # an end of Slice that means the last step


def same(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    return data[0]


def moved(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    """Axes in other places. Vectors have two, whatever is done to them."""
    value, operation, attributes = data[0], node["op"], node["attributes"]
    if isinstance(value, Pooled):
        return value
    numbers = walk.whole(node["inputs"][1]) if len(node["inputs"]) > 1 else []
    order = attributes.get("perm")
    axes = value.axes or tuple(str(place) for place in range(len(order or ())))
    number = value.recurrence if isinstance(value, Steps) else value.states[0][0]
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


def along(value: Value, axis: int) -> str:
    """The name of an axis."""
    if isinstance(value, Pooled):
        raise Unknown
    return value.axes[place_of(value.axes, axis)]


def gather(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
    table, axis = walk.constant(node["inputs"][0]), node["attributes"].get("axis", 0)
    if table is not None and table.dim() == 2 and axis == 0:
        if not isinstance(data[0], Steps) or data[0].recurrence is not None:
            raise Unknown
        walk.tensors["embedding.weight"] = table
        return Steps(axes=(*data[0].axes, FEATURES) if data[0].axes else ())
    return _picked(walk, data[0], walk.whole(node["inputs"][1]), axis)


def pick(walk: Walk, node: Mapping[str, Any], data: Sequence[Value]) -> Value:
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
    if isinstance(value, Hidden):
        if along(value, axes[0]) != SIDES:
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


def _picked(walk: Walk, value: Value, index: Sequence[int], axis: int) -> Value:
    if len(index) != 1 or along(value, axis) != (SIDES if isinstance(value, Hidden) else STEPS):
        raise Unknown
    if isinstance(value, Hidden):
        return Hidden((value.states[index[0]],), tuple(name for name in value.axes if name != SIDES))
    is_last = index[0] == -1 or (walk.window is not None and index[0] == walk.window - 1)
    if isinstance(value, Steps) and value.recurrence is not None and is_last:
        check_is_joined(walk, value)
        return Pooled((_last(walk, value.recurrence),))
    raise Unknown


def check_is_joined(walk: Walk, value: Steps) -> None:
    """Whether both directions of an output are side by side."""
    if SIDES in value.axes and value.recurrence is not None and walk.directions[value.recurrence] > 1:
        raise Unknown


def _last(walk: Walk, recurrence: int) -> str:
    if recurrence != len(walk.directions) - 1:
        raise Unknown
    return "last" if walk.directions[recurrence] == 1 else "last_output"
