"""What layers read: the inputs of a model, and values as steps, as one vector, as a state."""

from dataclasses import replace

from app.importers.keras.graph import Layer
from app.importers.keras.values import Attended, Beside, Pooled, Source, State, Steps, Value, Vector
from app.store.encoder_part import Pooling
from app.store.stages import RecurrenceStage


def source(layer: Layer) -> Source:
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


def vector_of(layer: Layer, value: Value) -> Vector:
    """The value as one vector. Raises ImportFailed."""
    if isinstance(value, Vector):
        return value
    if isinstance(value, State) and value.direction is None:
        stage = value.steps.pieces[-1].stage
        if isinstance(stage, RecurrenceStage) and (stage.recurrence.directions == 1 or stage.join == "concatenate"):
            pooling: Pooling = "last" if value.which == "hidden" else "last_cell"
            return Vector((Pooled(value.steps, pooling),), value.steps.size)
    if isinstance(value, Source):
        raise layer.refuse(f"it joins the input {value.name!r}; a network here reads one input")
    raise layer.refuse("it must read one vector; single directions are not supported")


def as_state(value: Value) -> State | None:
    """The value as the last state of a recurrence, if it is one."""
    if isinstance(value, State):
        return value
    if isinstance(value, Vector) and value.is_plain and [part.pooling for part in value.parts] == ["last"]:
        return State(value.parts[0].steps, "hidden", None)
    return None


def embedding(layer: Layer, value: Value) -> Value:
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


def masking(layer: Layer, value: Value) -> Value:
    steps = steps_of(layer, value)
    if steps.pieces or steps.embedding is not None:
        raise layer.refuse("it must be the first layer")
    return replace(steps, mask=float(layer.config.get("mask_value", 0.0)), known=True)


def vectorization(layer: Layer, value: Value) -> Value:
    if not isinstance(value, Source):
        raise layer.refuse("it must read the texts of an input")
    return replace(value, vectorization=layer)
