"""Language models of Keras: over a window, or with a state that is kept from word to word."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from app.importers.keras.encoders import pooled_network
from app.importers.keras.heads import for_rows, head_of, output_tensors, over_steps, with_inputs
from app.importers.keras.stacking import forward_recurrence
from app.importers.keras.understood import Understood
from app.importers.layout import require
from app.importers.parts import prefixed
from app.store.encoders import TextEncoder
from app.store.language_model import LanguageModel
from app.store.window_language_model import WindowLanguageModel

Tensors = Mapping[str, Tensor]


def window_language_model(
    understood: Understood, *, window: int, pad: int | None, pad_side: Literal["left", "right"] = "left"
) -> tuple[WindowLanguageModel, Tensors]:
    """`pad` is the id before a short text; of one-hot rows it may be one more than there are, a row of zeros."""
    vector = understood.vector
    embedding = understood.root.table
    size = len(embedding)
    if pad is not None and pad >= size:
        embedding = torch.cat((embedding, embedding.new_zeros(pad + 1 - size, embedding.shape[1])))
    network = pooled_network(vector, embedding=embedding)
    head = head_of(vector.layers, vector.pooled_size)
    last = for_rows(head.last, len(embedding))
    assert isinstance(network.encoder, TextEncoder)
    architecture = WindowLanguageModel(
        **{**network.members, "window": window}, pad=pad, pad_side=pad_side, head=head.layers
    )
    return architecture, {**network.tensors, **head.tensors, **output_tensors(last)}


def language_model(understood: Understood) -> tuple[LanguageModel, Tensors]:
    """A recurrence that gives the next id after each step, and keeps its state."""
    steps, linear = over_steps(understood.steps)
    embedding = understood.root.table
    recurrence = forward_recurrence(steps.pieces)
    require(len(linear) <= 2, "a language model has at most two layers after its recurrence")
    layers = [with_inputs(linear[0], recurrence.recurrence.hidden_size), *linear[1:]]
    readout = layers[0] if len(layers) == 2 else None
    require(
        readout is None or readout.function.activation == "tanh",
        "the layer before the last one of a language model must have the function tanh",
    )
    architecture = LanguageModel(
        vocabulary_size=len(embedding),
        recurrence=recurrence.recurrence,
        readout_size=None if readout is None else len(readout.bias),
    )
    tensors = {
        "encoder.embedding.weight": embedding,
        **prefixed(recurrence.tensors, "encoder."),
        **prefixed(output_tensors(for_rows(layers[-1], len(embedding))), "decoder."),
    }
    if readout is not None:
        tensors |= {"decoder.readout.weight": readout.weight, "decoder.readout.bias": readout.bias}
    return architecture, tensors
