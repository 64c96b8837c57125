"""Layers that change the shape of a value: poolings over time, Flatten, Reshape, Permute, RepeatVector, slices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from app.importers.keras.attending import weights_of_vector
from app.importers.keras.graph import Layer
from app.importers.keras.inputs import steps_of, vector_of
from app.importers.keras.values import Pooled, Repeat, Source, State, Steps, Value, Vector


def repeated(layer: Layer, value: Value) -> Value:
    vector = vector_of(layer, value)
    if (weights := weights_of_vector(vector)) is not None:
        return weights
    count = int(layer.config["n"])
    return Steps(Repeat(vector, count), vector.size, count)


def pooled(layer: Layer, value: Value) -> Value:
    if isinstance(value, Vector | State):
        return vector_of(layer, value)
    steps = steps_of(layer, value)
    if layer.kind == "GlobalMaxPooling1D":
        return Vector((Pooled(steps, "max"),), steps.size)
    if layer.kind == "GlobalAveragePooling1D":
        return Vector((Pooled(steps.by_mask(layer), "mean"),), steps.size)
    return _flat(layer, steps)


def _flat(layer: Layer, steps: Steps) -> Vector:
    if steps.count is None:
        raise layer.refuse("it needs an input of a fixed length")
    return Vector((Pooled(steps, "flatten"),), steps.count * steps.size)


def reshaped(layer: Layer, value: Value) -> Value:
    target = [int(size) for size in layer.config["target_shape"]]
    if isinstance(value, Source) and len(value.shape) == 1 and value.shape[0] is not None:
        rows, columns = _resolved(target, value.shape[0]) if len(target) == 2 else (0, 0)
        source = replace(value, shape=(value.shape[0], 1))
        if columns == 1:
            return source
        if rows == 1:
            return Steps(source, columns, 1, is_transposed=True)
    if isinstance(value, Vector | State):
        vector = vector_of(layer, value)
        return replace(vector, shape=tuple(_resolved(target, vector.size)))
    steps = steps_of(layer, value)
    if steps.count is not None:
        target = _resolved(target, steps.count * steps.size)
        if target in ([steps.count, steps.size], [steps.count] if steps.size == 1 else None):
            return replace(steps, known=False)
        if len(target) == 1:
            return _flat(layer, steps)
    raise layer.refuse(f"target_shape {tuple(layer.config['target_shape'])} is not supported here")


def _resolved(target: Sequence[int], numbers: int) -> list[int]:
    others = prod(size for size in target if size != -1)
    return [numbers // max(1, others) if size == -1 else size for size in target]


def permuted(layer: Layer, value: Value) -> Value:
    steps = steps_of(layer, value)
    if list(layer.config["dims"]) == [1, 2]:
        return steps
    if steps.pieces or steps.embedding is not None or steps.count is None or steps.mask is not None:
        raise layer.refuse("it must be the first layer after an input of a fixed length")
    return replace(steps, size=steps.count, count=steps.size, is_transposed=not steps.is_transposed)


def last_step(layer: Layer, value: Value, others: Mapping[str, Any]) -> Value:
    """`x[:, -1]` and `x[:, -1, :]`: the last output."""
    args: Sequence[Any] = others.get("args") or ()
    key = args[1] if len(args) > 1 else (others.get("key") or [])
    key = key.get("config", {}).get("value", key) if isinstance(key, Mapping) else key
    if isinstance(value, Steps) and isinstance(key, list | tuple) and len(key) >= 2 and key[1] == -1:
        return Vector((Pooled(value, "last_output"),), value.size)
    raise layer.refuse("only x[:, -1], the last step, is supported")
