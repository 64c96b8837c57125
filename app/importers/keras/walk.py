"""A walk over the graph of a Keras model: what each call makes of its inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch


from app.errors import ImportFailed
from app.importers.keras import recurrent, stages
from app.importers.keras.activations import Function, function_layer, function_of
from app.importers.keras.attending import Weighted, Weights, pooled_by, weights_of, weights_of_vector
from app.importers.keras.graph import Call, Graph, Layer, Place
from app.importers.keras.values import (
    Attended,
    Beside,
    Linear,
    Pooled,
    Repeat,
    Source,
    State,
    Steps,
    Vector,
)
from app.importers.keras.values import Value as Known
from app.store.architecture import RecurrenceStage

Value = Known | Weights | Weighted
_PASSED = (
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "Cast",
)
_SCALES = ("BatchNormalization", "BatchNormalizationV1", "Normalization", "Rescaling")
_FUNCTIONS = ("Activation", "LeakyReLU", "ELU", "ReLU", "Softmax")
_CONVOLUTIONS = ("Conv1D", "Convolution1D", "SeparableConv1D", "DepthwiseConv1D")
_POOLS = ("MaxPooling1D", "AveragePooling1D")
_POOLINGS = ("GlobalMaxPooling1D", "GlobalAveragePooling1D", "Flatten")


class Walk:
    """`values` are what the calls make, by place."""

    def __init__(self, graph: Graph, *, keras_2: bool, given: Mapping[Place, Value] | None = None) -> None:
        """`given` are the values of inputs that come from another model."""
        self._keras_2 = keras_2
        self.values: dict[Place, Value] = dict(given or {})
        for call in graph.calls:
            if call.place not in self.values:
                self.values |= self._outputs(call)
        self.outputs = [self._value(place) for place in graph.outputs]

    @staticmethod
    def source_of(call: Call) -> Source:
        """The input that a call of an InputLayer is."""
        return _source(call.layer)

    def _value(self, place: Place) -> Value:
        if place not in self.values:
            raise ImportFailed(f"output {place[2]} of layer {place[0]!r} is not supported")
        return self.values[place]

    def _outputs(self, call: Call) -> dict[Place, Value]:
        layer = call.layer
        inputs = [self._value(place) for place in call.inputs]
        if layer.kind in recurrent.KINDS:
            states = [*inputs[1:], *(self._value(place) for place in call.states)]
            made = self._recurrent(layer, inputs[0], states)
        else:
            made = [self._made(call, layer, inputs)]
        return {(layer.name, call.number, number): value for number, value in enumerate(made)}

    def _made(self, call: Call, layer: Layer, inputs: Sequence[Value]) -> Value:
        kind = layer.kind
        if kind == "InputLayer":
            return _source(layer)
        if kind in ("Concatenate", "Merge"):
            return _beside(layer, inputs)
        if kind in ("Multiply", "Dot") and any(isinstance(value, Weights | Vector) for value in inputs):
            return _times_weights(layer, inputs)
        if kind in ("Attention", "AdditiveAttention"):
            return _attended(layer, inputs)
        if kind == "GetItem":
            return _item(layer, inputs[0], call.others)
        if len(inputs) == 1 and (made := self._simple(layer, inputs[0])) is not None:
            return made
        known = (*_PASSED, *_SCALES, *_FUNCTIONS, *_CONVOLUTIONS, *_POOLS, *_POOLINGS, *recurrent.KINDS, *_OTHERS)
        raise layer.refuse(
            "this class is not supported here, or is one of the author's own; supported are "
            f"{', '.join(sorted(known))}"
        )

    def _simple(self, layer: Layer, value: Value) -> Value | None:
        """The value that a layer with one input makes."""
        kind = layer.kind
        if kind in _PASSED:
            return value
        if isinstance(value, Weights | Weighted):
            return _of_weights(layer, value)
        if kind == "Softmax" and isinstance(value, Steps) and layer.config.get("axis", -1) in (1, -2):
            return weights_of(layer, value)
        if kind in _OTHERS:
            return _OTHERS[kind](layer, value)
        if kind == "TimeDistributed":
            return self._on_each_step(layer, value)
        if kind == "Dense":
            return self._dense(layer, value)
        if kind in _FUNCTIONS:
            return _with_function(layer, value, function_layer(layer, keras_2=self._keras_2))
        if kind in _SCALES:
            return _scaled(layer, value)
        if kind in _CONVOLUTIONS:
            steps = steps_of(layer, value)
            named = replace(layer, kind="Conv1D") if kind == "Convolution1D" else layer
            function = function_of(layer, keras_2=self._keras_2)
            return _with_function(layer, steps.then(stages.convolution(named, steps.size, _apart(function))), function)
        if kind in _POOLS:
            return steps_of(layer, value).then(stages.pool(layer))
        return _pooled(layer, value) if kind in _POOLINGS else None

    def _on_each_step(self, layer: Layer, value: Value) -> Value:
        inner = layer.inner
        allowed = ("Dense", *_PASSED, *_FUNCTIONS, *_SCALES, "LayerNormalization")
        if inner is None or inner.kind not in allowed:
            kind = inner.kind if inner else "nothing"
            raise layer.refuse(f"it holds a {kind}; {', '.join(sorted(allowed))} are supported")
        made = self._simple(replace(inner, name=layer.name, arrays=layer.arrays), steps_of(layer, value))
        assert made is not None
        return made

    def _dense(self, layer: Layer, value: Value) -> Value:
        function = function_of(layer, keras_2=self._keras_2)
        if isinstance(value, Vector | State):
            vector = vector_of(layer, value)
            weight, bias = stages.dense_arrays(layer, vector.size)
            return vector.through(Linear(weight, bias, function))
        steps = steps_of(layer, value)
        return _with_function(layer, steps.then(stages.dense(layer, steps.size, _apart(function))), function)

    def _recurrent(self, layer: Layer, value: Value, states: Sequence[Value]) -> list[Value]:
        """The outputs, or the last one, and the last states."""
        before = steps_of(layer, value).by_mask(layer)
        piece = recurrent.recurrence_of(layer, before.size, keras_2=self._keras_2)
        given = [state for state in (as_state(state) for state in states) if state is not None]
        if len(given) != len(states):
            raise layer.refuse("its first state must be the last one of another recurrent layer")
        steps = replace(before.then(piece), started_by=(*before.started_by, *given))
        settings = recurrent.one_way(layer).config
        outer = layer.config if layer.kind == "Bidirectional" else settings
        ends = Vector((Pooled(steps, "last"),), steps.size)
        made: list[Value] = [steps if settings.get("return_sequences", outer.get("return_sequences")) else ends]
        if settings.get("return_state") or outer.get("return_state"):
            stage = piece.stage
            assert isinstance(stage, RecurrenceStage)
            two = stage.recurrence.directions == 2
            for direction in (0, 1) if two else (None,):
                made.append(State(steps, "hidden", direction))
                if stage.recurrence.cell == "lstm":
                    made.append(State(steps, "cell", direction))
        return made


def _apart(function: Function) -> Function:
    """The function of a stage; a softmax comes after it."""
    return Function() if function.is_softmax else function


def _source(layer: Layer) -> Source:
    shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape") or [None, None]
    return Source(layer.name, tuple(shape[1:]))


def steps_of(layer: Layer, value: Value) -> Steps:
    """The value as steps with features. Raises ImportFailed."""
    if isinstance(value, Steps):
        if value.is_softmax:
            raise layer.refuse("a layer after a softmax over steps is not supported")
        return value
    if isinstance(value, Source) and len(value.shape) == 2 and value.shape[1] is not None:
        return Steps(value, value.shape[1], value.shape[0])
    if isinstance(value, Attended):
        return Steps(Beside((value,)), value.size, value.query.count)
    what = f"an input of shape {value.shape}" if isinstance(value, Source) else "a vector"
    raise layer.refuse(f"it must read steps with features, and gets {what}")


def as_state(value: Value) -> State | None:
    """The value as the last state of a recurrence, if it is one."""
    if isinstance(value, State):
        return value
    if isinstance(value, Vector) and not value.layers and [part.pooling for part in value.parts] == ["last"]:
        return State(value.parts[0].steps, "hidden", None)
    return None


def vector_of(layer: Layer, value: Value) -> Vector:
    """The value as one vector. Raises ImportFailed."""
    if isinstance(value, Vector):
        return value
    if isinstance(value, State) and value.which == "hidden" and value.direction is None:
        stage = value.steps.pieces[-1].stage
        if isinstance(stage, RecurrenceStage) and (stage.recurrence.directions == 1 or stage.join == "concatenate"):
            return Vector((Pooled(value.steps, "last"),), value.steps.size)
    raise layer.refuse("it must read one vector; cell states and single directions are not supported")


def _with_function(layer: Layer, value: Value, function: Function) -> Value:
    """The value with a function over its features."""
    if function == Function():
        return value
    if isinstance(value, Vector | State):
        return vector_of(layer, value).with_function(function)
    steps = steps_of(layer, value)
    if function.is_softmax:
        return replace(steps, is_softmax=True)
    last = steps.pieces[-1].layer if steps.pieces else None
    if last is layer:  # the stage has it
        return steps
    return steps.then(stages.function_stage(layer, steps.size, function))


def _scaled(layer: Layer, value: Value) -> Value:
    if isinstance(value, Vector | State):
        vector = vector_of(layer, value)
        return vector.scaled(*stages.scale_and_shift(layer, vector.size, axis=1))
    steps = steps_of(layer, value)
    return steps.then(stages.affine(layer, *stages.scale_and_shift(layer, steps.size, axis=2)))


def _embedding(layer: Layer, value: Value) -> Value:
    if not isinstance(value, Source) or len(value.shape) > 1:
        raise layer.refuse("it must read the ids of an input")
    if not layer.arrays:
        raise layer.refuse("its weights are missing in the file")
    weight = layer.arrays[0].float()
    count = value.shape[0] if value.shape else None
    if value.vectorization is not None:
        count = value.vectorization.config.get("output_sequence_length")
    mask = 0.0 if layer.config.get("mask_zero") else None
    return Steps(value, weight.shape[1], count, embedding=weight, mask=mask, known=mask is not None)


def _masking(layer: Layer, value: Value) -> Value:
    steps = steps_of(layer, value)
    if steps.pieces or steps.embedding is not None:
        raise layer.refuse("it must be the first layer")
    return replace(steps, mask=float(layer.config.get("mask_value", 0.0)), known=True)


def _vectorization(layer: Layer, value: Value) -> Value:
    if not isinstance(value, Source):
        raise layer.refuse("it must read the texts of an input")
    return replace(value, vectorization=layer)


def _repeated(layer: Layer, value: Value) -> Value:
    vector = vector_of(layer, value)
    if (weights := weights_of_vector(vector)) is not None:
        return weights
    count = int(layer.config["n"])
    return Steps(Repeat(vector, count), vector.size, count)


def _pooled(layer: Layer, value: Value) -> Value:
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


def _reshaped(layer: Layer, value: Value) -> Value:
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


def _permuted(layer: Layer, value: Value) -> Value:
    steps = steps_of(layer, value)
    if list(layer.config["dims"]) == [1, 2]:
        return steps
    if steps.pieces or steps.embedding is not None or steps.count is None or steps.mask is not None:
        raise layer.refuse("it must be the first layer after an input of a fixed length")
    return replace(steps, size=steps.count, count=steps.size, is_transposed=not steps.is_transposed)


def _layer_norm(layer: Layer, value: Value) -> Value:
    steps = steps_of(layer, value)
    return steps.then(stages.layer_norm(layer, steps.size))


def _beside(layer: Layer, inputs: Sequence[Value]) -> Value:
    """Concatenate: both directions of a state, pooled vectors, or steps."""
    both = [value for value in inputs if isinstance(value, State)]
    if len(both) == len(inputs) == 2 and both[0].steps is both[1].steps and both[0].which == both[1].which:
        if (both[0].direction, both[1].direction) == (0, 1):
            return replace(both[0], direction=None)
        raise layer.refuse("states must be joined forward first")
    if any(isinstance(value, Vector | State) for value in inputs):
        vectors = [vector_of(layer, value) for value in inputs]
        if any(vector.layers for vector in vectors):
            raise layer.refuse("branches with layers of their own are not supported")
        parts = [part for vector in vectors for part in vector.parts]
        return Vector(parts, sum(vector.size for vector in vectors))
    if layer.config.get("axis", -1) not in (-1, 2):
        raise layer.refuse("only axis -1 is supported")
    steps = [value if isinstance(value, Attended) else steps_of(layer, value) for value in inputs]
    size = sum(part.size for part in steps)
    first = next((part for part in steps if isinstance(part, Steps)), None)
    return Steps(Beside(steps), size, first.count if first else None)


def _attended(layer: Layer, inputs: Sequence[Value]) -> Value:
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


def _of_weights(layer: Layer, value: Weights | Weighted) -> Value:
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


def _times_weights(layer: Layer, inputs: Sequence[Value]) -> Value:
    """Multiply or Dot of steps and their weights."""
    weights = [value if isinstance(value, Weights) else weights_of_vector(value) if isinstance(value, Vector) else None
               for value in inputs]
    steps = [value for value in inputs if isinstance(value, Steps)]
    found = [weight for weight in weights if weight is not None]
    if len(inputs) != 2 or len(steps) != 1 or len(found) != 1:
        raise layer.refuse("it must multiply steps by the weights of attention")
    if layer.kind == "Multiply":
        return Weighted(steps[0], found[0])
    axes = layer.config.get("axes")
    if axes not in (1, [1, 1], (1, 1)):
        raise layer.refuse(f"axes {axes} are not supported, only 1")
    return pooled_by(layer, steps[0], found[0])


def _item(layer: Layer, value: Value, others: Mapping[str, Any]) -> Value:
    """`x[:, -1]` and `x[:, -1, :]`: the last output."""
    args = others.get("args") or ()
    key = args[1] if len(args) > 1 else (others.get("key") or [])
    key = key.get("config", {}).get("value", key) if isinstance(key, Mapping) else key
    if isinstance(value, Steps) and isinstance(key, list | tuple) and len(key) >= 2 and key[1] == -1:
        return Vector((Pooled(value, "last_output"),), value.size)
    raise layer.refuse("only x[:, -1], the last step, is supported")


_OTHERS: Mapping[str, Callable[[Layer, Value], Value]] = {
    "Embedding": _embedding,
    "Masking": _masking,
    "TextVectorization": _vectorization,
    "RepeatVector": _repeated,
    "Reshape": _reshaped,
    "Permute": _permuted,
    "LayerNormalization": _layer_norm,
}
