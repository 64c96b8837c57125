"""An encoder and a decoder that were saved as two models: the outputs of one are inputs of the other."""

from app.errors import ImportFailed
from app.importers.keras.graph import Graph
from app.importers.keras.inputs import as_state, source
from app.importers.keras.nodes import Place
from app.importers.keras.understood import Understood
from app.importers.keras.unfolding import graph_of
from app.importers.keras.values import Steps, Value
from app.importers.keras.walk import Walk
from app.importers.keras_model import KerasModel


def understand_pair(one: KerasModel, other: KerasModel) -> Understood:
    """The two in any order. Raises ImportFailed if they are not an encoder and its decoder."""
    walks = [(model, _walked(model)) for model in (one, other)]
    encoders = [(model, walk) for model, walk in walks if walk is not None]
    for model, walk in encoders:
        decoder = other if model is one else one
        if (found := _decoded(walk, decoder)) is not None:
            return Understood(decoder, found)
    raise ImportFailed(
        "the files have two Keras models that are not an encoder and its decoder: give one model, or the two of which "
        "one makes the states that the other starts from"
    )


def _walked(model: KerasModel) -> Walk | None:
    """A model by itself. A decoder does not stand alone: its states come from outside."""
    try:
        return Walk(graph_of(model), keras_2=model.is_of_keras_2)
    except ImportFailed:
        return None


def _decoded(encoder: Walk, model: KerasModel) -> Value | None:
    """The output of a decoder whose inputs, but for the tokens, are outputs of the encoder."""
    graph = graph_of(model)
    given = _given(graph, encoder.outputs)
    if given is None:
        return None
    walk = Walk(graph, keras_2=model.is_of_keras_2, given=given)
    return next((value for value in walk.outputs if isinstance(value, Steps)), None)


def _given(graph: Graph, outputs: list[Value]) -> dict[Place, Value] | None:
    states = [state for value in outputs if (state := as_state(value)) is not None]
    memories = [value for value in outputs if isinstance(value, Steps)]
    given: dict[Place, Value] = {}
    sources = {call.place: source(call.layer) for call in graph.calls if call.layer.kind == "InputLayer"}
    for place in graph.inputs:
        shape = sources[place].shape
        if len(shape) == 1 and isinstance(shape[0], int) and states and states[0].steps.size == shape[0]:
            given[place] = states.pop(0)
        elif len(shape) == 2 and memories and memories[0].size == shape[1]:
            given[place] = memories.pop(0)
    return given if given and not states and len(given) < len(graph.inputs) else None
