"""A walk over the graph of a Keras model: what each call makes of its inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from app.errors import ImportFailed
from app.importers.keras import recurrent, stages
from app.importers.keras.activations import Function, function_layer, function_of
from app.importers.keras.attending import weighted_average, weights_of
from app.importers.keras.graph import Call, Graph, Layer
from app.importers.keras.inputs import as_state, embedding, masking, source, steps_of, vector_of, vectorization
from app.importers.keras.joining import added, attended, beside, of_weights, times_weights
from app.importers.keras.nodes import Place
from app.importers.keras.reshaping import last_step, permuted, pooled, repeated, reshaped
from app.importers.keras.values import Linear, Pooled, Source, State, Steps, Value, Vector, Weighted, Weights

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
            return source(layer)
        if kind in ("Concatenate", "Merge"):
            return beside(layer, inputs)
        if kind == "Add":
            return added(layer, inputs)
        if kind in ("Multiply", "Dot") and any(isinstance(value, Weights | Vector) for value in inputs):
            return times_weights(layer, inputs)
        if kind in ("Attention", "AdditiveAttention"):
            return attended(layer, inputs)
        if kind == "GetItem":
            return last_step(layer, inputs[0], call.others)
        if len(inputs) == 1 and (made := self._simple(layer, inputs[0])) is not None:
            return made
        known = (*_PASSED, *_SCALES, *_FUNCTIONS, *_CONVOLUTIONS, *_POOLS, *_POOLINGS, *recurrent.KINDS, *_OTHERS)
        raise layer.refuse(
            f"this class is not supported here, or is one of the author's own; supported are {', '.join(sorted(known))}"
        )

    def _simple(self, layer: Layer, value: Value) -> Value | None:
        """The value that a layer with one input makes."""
        kind = layer.kind
        if kind in _PASSED:
            return value
        if isinstance(value, Weights | Weighted):
            return of_weights(layer, value)
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
        return pooled(layer, value) if kind in _POOLINGS else None

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
            inputs = any(isinstance(state, Source) for state in states)
            raise layer.refuse(
                "it starts from states that are inputs of the model, so this is the decoder of an encoder-decoder: add "
                "the model of the encoder as another --checkpoint, or give the training model alone"
                if inputs
                else "its first state must be the last one of another recurrent layer"
            )
        steps = replace(before.then(piece), started_by=(*before.started_by, *given))
        settings = recurrent.one_way(layer).config
        outer = layer.config if layer.kind == "Bidirectional" else settings
        ends = Vector((Pooled(steps, "last"),), steps.size)
        made: list[Value] = [steps if settings.get("return_sequences", outer.get("return_sequences")) else ends]
        if settings.get("return_state") or outer.get("return_state"):
            for direction in (0, 1) if piece.recurrence.directions == 2 else (None,):
                made.append(State(steps, "hidden", direction))
                if piece.recurrence.cell == "lstm":
                    made.append(State(steps, "cell", direction))
        return made


def _apart(function: Function) -> Function:
    """The function of a stage; a softmax comes after it."""
    return Function() if function.is_softmax else function


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


def _layer_norm(layer: Layer, value: Value) -> Value:
    if isinstance(value, Vector | State):
        vector = vector_of(layer, value)
        if not vector.is_plain:
            raise layer.refuse("over one vector, it must be the first layer behind the pooling")
        return replace(vector, norm=stages.layer_norm(layer, vector.size, axis=1))
    steps = steps_of(layer, value)
    return steps.then(stages.layer_norm(layer, steps.size, axis=2))


_OTHERS: Mapping[str, Callable[[Layer, Value], Value]] = {
    "Embedding": embedding,
    "AttentionWeightedAverage": weighted_average,
    "Masking": masking,
    "TextVectorization": vectorization,
    "RepeatVector": repeated,
    "Reshape": reshaped,
    "Permute": permuted,
    "LayerNormalization": _layer_norm,
}
