"""Encoding: chunks of sources to recurrent states, and from the last chunk of a source on to its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from app.engine.answers import answer, reads_memory
from app.engine.faults import failed_alone, in_halves
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import AnswerSpec, Embed
from app.engine.request import Chunk, Output, Request
from app.engine.sources import padded
from app.engine.transfers import to_device
from app.models.cells import RecurrentState
from app.models.encoders import Encoded, ImageEncoder, RecurrentEncoder


@dataclass(frozen=True, slots=True)
class Partial:
    """A source that is encoded in part: the recurrent state after it, and its outputs so far, each (steps, memory),
    unless the answer needs only the last one."""

    state: RecurrentState
    outputs: list[Tensor]


class Batch(NamedTuple):
    """The requests whose last chunk was encoded, and their sources; and the partial state of each source that comes in
    chunks."""

    requests: list[Request]
    encoded: Encoded
    partials: Sequence[tuple[Request, Partial | None]] = ()


def encode(model: LoadedModel, chunks: Sequence[Chunk]) -> list[Output]:
    """Run chunks of sources of one kind: the result is answers, or rows that `decode` or `forecast` continues.

    An error halves the batch, down to the request that causes it, which fails alone. One of the device is raised.
    """
    outputs: list[Output] = []
    with model.number_types():
        for layers, some in _by_layers(model, chunks).items():
            outputs += in_halves(some, partial(_encode, model, layers), partial(_fail, model), model.count_error)
    return outputs


def _by_layers(model: LoadedModel, chunks: Sequence[Chunk]) -> dict[int | None, list[Chunk]]:
    """The chunks by the number of layers that read them; None stands for all."""
    groups: dict[int | None, list[Chunk]] = {}
    for chunk in chunks:
        groups.setdefault(_layers(model, chunk.request.answer), []).append(chunk)
    return groups


def _layers(model: LoadedModel, wanted: AnswerSpec) -> int | None:
    encoder = model.network.encoder
    if not isinstance(wanted, Embed) or wanted.layer is None or isinstance(encoder, ImageEncoder):
        return None
    layers = wanted.layer + 1
    return layers if layers < encoder.recurrence.recurrence.layers else None


def _fail(model: LoadedModel, chunk: Chunk, error: Exception) -> Output:
    chunk.request.partial = None
    model.stop_pieces(chunk.request)
    return failed_alone(chunk.request, error)


@torch.inference_mode()
def _encode(model: LoadedModel, layers: int | None, chunks: Sequence[Chunk]) -> list[Output]:
    steps = [chunk.steps for chunk in chunks]
    model.counters.encode_useful += sum(steps)
    model.counters.encode_padded += model.padded_steps(steps)
    sources, lengths = (to_device(part, model.device) for part in padded(chunks))
    batch = _batch(model, layers, chunks, sources, lengths)
    outputs: list[Output] = []
    if batch.requests:
        model.counters.encoded += len(batch.requests)
        outputs = answer(model, batch.requests, batch.encoded)
    for request, state in batch.partials:  # only now: a batch that failed runs again in halves
        request.partial = state
    return outputs


def _batch(model: LoadedModel, layers: int | None, chunks: Sequence[Chunk], sources: Tensor, lengths: Tensor) -> Batch:
    """Encode sources (batch, steps, ...) with lengths (batch,)."""
    encoder = model.network.encoder
    requests = [chunk.request for chunk in chunks]
    if isinstance(encoder, ImageEncoder):
        return Batch(requests, encoder(sources.squeeze(1), lengths))
    if all(chunk.is_whole for chunk in chunks):
        return Batch(requests, encoder(sources, lengths, layers=layers))
    return _encode_parts(model, encoder, layers, chunks, *encoder.embed(sources, lengths))


def _encode_parts(
    model: LoadedModel,
    encoder: RecurrentEncoder,
    layers: int | None,
    chunks: Sequence[Chunk],
    inputs: Tensor,
    lengths: Tensor,
) -> Batch:
    """Continue each source from its `partial`, with the inputs (batch, steps, input) of the recurrence."""
    fresh = Partial(encoder.recurrence.initial_state(1, inputs, layers=layers), [])
    before = [chunk.request.partial or fresh for chunk in chunks]
    partials = [one for one in before if isinstance(one, Partial)]
    encoded = encoder.unroll(inputs, lengths, _stacked([one.state for one in partials]), layers=layers)
    assert encoded.state is not None
    ended: list[Request] = []
    states, memories = [], []
    after: list[tuple[Request, Partial | None]] = []
    for row, (chunk, so_far) in enumerate(zip(chunks, partials, strict=True)):
        cell = encoded.state.cell
        state = RecurrentState(encoded.state.hidden[row, None], None if cell is None else cell[row, None])
        outputs = [*so_far.outputs, encoded.memory[row, : chunk.steps // model.step]]
        if not reads_memory(model, chunk.request.answer):
            outputs = [encoded.summary[row, None]]
        after.append((chunk.request, None if chunk.is_last else Partial(state, outputs)))
        if chunk.is_last:
            ended.append(chunk.request)
            states.append(state)
            memories.append(torch.cat(outputs))
    if not ended:
        return Batch([], encoded, after)
    last = _stacked(states)
    whole = to_device(torch.tensor([len(memory) for memory in memories]), inputs.device)
    memory = pad_sequence(memories, batch_first=True)
    mask = torch.arange(memory.shape[1], device=inputs.device) < whole.unsqueeze(1)
    return Batch(ended, Encoded(memory, mask, last.hidden[:, -1], last), after)


def _stacked(states: Sequence[RecurrentState]) -> RecurrentState:
    """States of one row each as one state (batch, layers, hidden)."""
    cells = [state.cell for state in states if state.cell is not None]
    return RecurrentState(torch.cat([state.hidden for state in states]), torch.cat(cells) if cells else None)
