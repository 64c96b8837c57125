"""The activations of an encoder-decoder while it reads a source and writes an answer that is known: encoder and decoder
read their tokens once more, step by step.

In float32 and in plain torch, one source at a time, in pieces.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from app.models.encoders import Encoded, TextEncoder
from app.models.explain import (
    PIECE,
    Activations,
    activations_of,
    embedded,
    encoded_in_parts,
    in_order,
    most_changing,
)
from app.models.gates import Gated, shown_step
from app.models.networks import EncoderDecoder
from app.models.pieces import InPieces
from app.models.recurrent import Recurrent, RecurrentSteps
from app.models.state import State
from app.models.steps import Steps
from app.store.language_model import LanguageModel


class Replayed(NamedTuple):
    """The activations of each network by direction, forward first. Without steps, or without a recurrence of its own, a
    network has none."""

    encoder: list[Activations]
    decoder: list[Activations]


class ShownRecurrence(RecurrentSteps):
    """The steps of a recurrence in one direction, one row at a time. `steps` keeps those of one `layer`, with gates."""

    def __init__(self, of: Recurrent, layer: int) -> None:
        super().__init__(of.recurrence)
        self._weights = [directions[0] for directions in of.weights_by_layer()]
        self._shown = shown_step(of.recurrence)
        self._layer = layer
        self.steps: list[Gated] = []

    def _step_layer(
        self, layer: int, inputs: Tensor, hidden: Tensor, cell: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        step = self._shown(inputs, hidden, cell, self._weights[layer])
        if layer == self._layer:
            self.steps.append(step)
        return step.hidden, step.cell


def replay(
    network: EncoderDecoder, source: Tensor, inputs: Sequence[int], layer: int | None, units: int | None
) -> InPieces[Replayed]:
    """The activations of a source (steps, ...), as its encoder reads it, without the batch, and of the ids `inputs`
    that the decoder reads after it. `layer` is counted from 0, or the last one of a network with fewer; None is the
    last one. They are those of the `units` that change most. A language model reads source and inputs alike."""
    if isinstance(network.config, LanguageModel):
        ids = [*source.tolist(), *inputs]
        decoder = yield from _decoded(network, network.decoder.start_at_zero(torch.zeros(1)), ids, layer)
        return Replayed([], [most_changing(one, units) for one in decoder])
    encoder = []
    if isinstance(network.encoder, TextEncoder):
        rows, steps = yield from embedded(network.encoder, source)
        chosen = _bounded(layer, network.encoder.recurrence)
        encoder = yield from activations_of(network.encoder, rows, steps, chosen)
        encoded = yield from _encoded(network.encoder, rows, steps)
    else:
        encoded = network.encoder(source, torch.tensor([1]))
        yield
    decoder = yield from _decoded(network, network.decoder.start(encoded), inputs, layer)
    return Replayed([most_changing(one, units) for one in encoder], [most_changing(one, units) for one in decoder])


def _encoded(encoder: TextEncoder, rows: Tensor, steps: Steps) -> InPieces[Encoded]:
    """The inputs (1, steps, input) of the recurrence of an encoder to the encoded source."""
    if encoder.config.is_divisible:
        return (yield from encoded_in_parts(encoder, rows, steps))
    yield
    return encoder.unroll(rows, steps)


def _decoded(
    network: EncoderDecoder, state: State, inputs: Sequence[int], layer: int | None
) -> InPieces[list[Activations]]:
    """The activations of a decoder that reads `inputs` from a state of one row; none without inputs."""
    if not inputs:
        return []
    decoder = network.decoder
    shown = ShownRecurrence(decoder.recurrence, _bounded(layer, decoder.recurrence))
    for place, token in enumerate(inputs):
        _, state, _ = decoder.advance(torch.tensor([token]), state, shown)
        if place % PIECE == PIECE - 1:
            yield
    return [in_order(shown.steps)]


def _bounded(layer: int | None, recurrence: Recurrent) -> int:
    last = recurrence.recurrence.layers - 1
    return last if layer is None else min(layer, last)
