"""Layers with several inputs: Concatenate, attention, and products with weights of attention."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from app.importers.keras.attending import pooled_by, weights_of_vector
from app.importers.keras.graph import Layer
from app.importers.keras.inputs import steps_of, vector_of
from app.importers.keras.skipping import joins_one_chain, side_by_side, summed
from app.importers.keras.values import Attended, Beside, State, Steps, Value, Vector, Weighted, Weights


def beside(layer: Layer, inputs: Sequence[Value]) -> Value:
    """Concatenate: both directions of a state, pooled vectors, or steps."""
    both = [value for value in inputs if isinstance(value, State)]
    if len(both) == len(inputs) == 2 and both[0].steps is both[1].steps and both[0].which == both[1].which:
        if (both[0].direction, both[1].direction) == (0, 1):
            return replace(both[0], direction=None)
        raise layer.refuse("states must be joined forward first")
    if any(isinstance(value, Vector | State) for value in inputs):
        vectors = [vector_of(layer, value) for value in inputs]
        if not all(vector.is_plain for vector in vectors):
            raise layer.refuse("branches with layers of their own are not supported")
        parts = [part for vector in vectors for part in vector.parts]
        return Vector(parts, sum(vector.size for vector in vectors))
    if layer.config.get("axis", -1) not in (-1, 2):
        raise layer.refuse("only axis -1 is supported")
    steps = [value if isinstance(value, Attended) else steps_of(layer, value) for value in inputs]
    plain = [part for part in steps if isinstance(part, Steps)]
    if len(plain) == len(steps) and joins_one_chain(plain):
        return side_by_side(layer, plain)
    size = sum(part.size for part in steps)
    first = next((part for part in steps if isinstance(part, Steps)), None)
    return Steps(Beside(steps), size, first.count if first else None)


def added(layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add: a residual connection around recurrent layers."""
    steps = [steps_of(layer, value) for value in inputs]
    if not joins_one_chain(steps):
        raise layer.refuse("only steps and what recurrent layers alone make of them can be added")
    return summed(layer, steps)


def attended(layer: Layer, inputs: Sequence[Value]) -> Value:
    """Attention of a decoder's outputs to those of an encoder."""
    config = layer.config
    if len(inputs) > 2 and inputs[2] is not inputs[1]:
        raise layer.refuse("keys that differ from the values are not supported")
    query, memory = (steps_of(layer, value) for value in inputs[:2])
    if query.origin == memory.origin:
        raise layer.refuse("attention of steps to each other is not supported, only that of a decoder to an encoder")
    additive = layer.kind == "AdditiveAttention"
    if config.get("score_mode", "dot") != "dot":
        raise layer.refuse(f"score_mode {config['score_mode']!r} is not supported, only 'dot'")
    if query.size != memory.size:
        raise layer.refuse(f"a query of {query.size} features and a memory of {memory.size} do not fit")
    scale = layer.arrays[0].float() if layer.arrays else None
    return Attended(query, memory.by_mask(layer), "additive" if additive else "dot", scale, layer)


def of_weights(layer: Layer, value: Weights | Weighted) -> Value:
    """Layers that only turn weights, and those that sum what is weighted."""
    if isinstance(value, Weights):
        if layer.kind in ("Permute", "Reshape", "Flatten", "RepeatVector"):
            return value
        raise layer.refuse("weights of attention can only be multiplied with the steps")
    vector = pooled_by(layer, value.steps, value.weights)
    if layer.kind == "Sum":
        return vector
    if layer.kind == "GlobalAveragePooling1D" and value.steps.count:
        return vector.scaled(torch.full((vector.size,), 1 / value.steps.count), torch.zeros(vector.size))
    raise layer.refuse("weighted steps can only be summed")


def times_weights(layer: Layer, inputs: Sequence[Value]) -> Value:
    """Multiply or Dot of steps and their weights."""
    weights = [
        value if isinstance(value, Weights) else weights_of_vector(value) if isinstance(value, Vector) else None
        for value in inputs
    ]
    steps = [value for value in inputs if isinstance(value, Steps)]
    found = [weight for weight in weights if weight is not None]
    if len(inputs) != 2 or len(steps) != 1 or len(found) != 1:
        raise layer.refuse("it must multiply steps by the weights of attention")
    if layer.kind == "Multiply":
        return Weighted(steps[0], found[0])
    axes = layer.config.get("axes")
    if axes not in (1, [1, 1]):
        raise layer.refuse(f"axes {axes} are not supported, only 1")
    return pooled_by(layer, steps[0], found[0])
