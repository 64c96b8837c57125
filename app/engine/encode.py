"""Encoding: chunks of sources to recurrent states, and from the last chunk of a source on to its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, assert_never

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from app.engine.answers import answer
from app.engine.cost import IMAGE_STEPS
from app.engine.faults import failed_alone, in_halves
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Pixels, Tokens
from app.engine.request import Chunk, Output, Request
from app.engine.transfers import to_device
from app.models.cells import RecurrentState
from app.models.encoders import Encoded, TextEncoder


@dataclass(frozen=True, slots=True)
class Partial:
    """A source that is encoded in part: the recurrent state after it, and its outputs so far, each (steps, memory)."""

    state: RecurrentState
    outputs: list[Tensor]


class Batch(NamedTuple):
    """The requests whose last chunk was encoded, their sources, and the lengths of their memories (batch,); and the
    partial state of each source that comes in chunks."""

    requests: list[Request]
    encoded: Encoded
    lengths: Tensor
    partials: Sequence[tuple[Request, Partial | None]] = ()


def encode(model: LoadedModel, chunks: Sequence[Chunk]) -> list[Output]:
    """Run chunks of sources of one kind: the result is labels, or rows that `decode` continues.

    An error halves the batch, down to the request that causes it, which fails alone. One of the device is raised.
    """
    with model.number_types():
        return in_halves(chunks, partial(_encode, model), partial(_fail, model), model.count_error)


def _fail(model: LoadedModel, chunk: Chunk, error: Exception) -> Output:
    chunk.request.partial = None
    model.stop_explaining(chunk.request)
    return failed_alone(chunk.request, error)


@torch.inference_mode()
def _encode(model: LoadedModel, chunks: Sequence[Chunk]) -> list[Output]:
    source = chunks[0].request.source  # a model takes one kind
    match source:
        case Tokens():
            batch = _encode_tokens(model, chunks)
        case Pixels():
            batch = _encode_pixels(model, chunks, source.size)
        case _:
            assert_never(source)
    outputs: list[Output] = []
    if batch.requests:
        model.counters.encoded += len(batch.requests)
        outputs = answer(model, batch.requests, batch.encoded, batch.lengths)
    for request, state in batch.partials:  # only now: a batch that failed runs again in halves
        request.partial = state
    return outputs


def _encode_pixels(model: LoadedModel, chunks: Sequence[Chunk], size: int) -> Batch:
    images = [chunk.request.source.data for chunk in chunks if isinstance(chunk.request.source, Pixels)]
    content = torch.frombuffer(bytearray(b"".join(images)), dtype=torch.uint8)
    model.counters.encode_useful += IMAGE_STEPS * len(images)
    model.counters.encode_padded += IMAGE_STEPS * len(images)
    one_each = torch.ones(len(images), dtype=torch.long, device=model.device)
    pixels = to_device(content.view(len(images), size, size, 3), model.device)
    encoded = model.network.encoder(pixels, one_each)
    return Batch([chunk.request for chunk in chunks], encoded, one_each * encoded.memory.shape[1])


def _encode_tokens(model: LoadedModel, chunks: Sequence[Chunk]) -> Batch:
    tokens, lengths = _padded(model, chunks)
    encoder = model.network.encoder
    if all(chunk.is_whole for chunk in chunks):
        return Batch([chunk.request for chunk in chunks], encoder(tokens, lengths), lengths)
    assert isinstance(encoder, TextEncoder)
    return _encode_parts(encoder, chunks, tokens, lengths)


def _padded(model: LoadedModel, chunks: Sequence[Chunk]) -> tuple[Tensor, Tensor]:
    """Tokens (batch, source) and lengths (batch,)."""
    ids = [
        chunk.request.source.ids[chunk.start : chunk.start + chunk.steps]
        for chunk in chunks
        if isinstance(chunk.request.source, Tokens)
    ]
    lengths = [len(row) for row in ids]
    model.counters.encode_useful += sum(lengths)
    model.counters.encode_padded += model.padded_steps(lengths)
    longest = max(lengths)
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    return to_device(padded, model.device), to_device(torch.tensor(lengths), model.device)


def _encode_parts(encoder: TextEncoder, chunks: Sequence[Chunk], tokens: Tensor, lengths: Tensor) -> Batch:
    """Continue each source from its `partial`."""
    fresh = Partial(encoder.recurrence.initial_state(1, encoder.embedding(tokens[:1, 0])), [])
    before = [chunk.request.partial or fresh for chunk in chunks]
    partials = [one for one in before if isinstance(one, Partial)]
    encoded = encoder(tokens, lengths, _stacked([one.state for one in partials]))
    assert encoded.state is not None
    ended: list[Request] = []
    states, memories = [], []
    after: list[tuple[Request, Partial | None]] = []
    for row, (chunk, so_far) in enumerate(zip(chunks, partials, strict=True)):
        cell = encoded.state.cell
        state = RecurrentState(encoded.state.hidden[row, None], None if cell is None else cell[row, None])
        outputs = [*so_far.outputs, encoded.memory[row, : chunk.steps]]
        after.append((chunk.request, None if chunk.is_last else Partial(state, outputs)))
        if chunk.is_last:
            ended.append(chunk.request)
            states.append(state)
            memories.append(torch.cat(outputs))
    if not ended:
        return Batch([], encoded, lengths, after)
    last = _stacked(states)
    whole = to_device(torch.tensor([len(memory) for memory in memories]), tokens.device)
    memory = pad_sequence(memories, batch_first=True)
    mask = torch.arange(memory.shape[1], device=tokens.device) < whole.unsqueeze(1)
    return Batch(ended, Encoded(memory, mask, last.hidden[:, -1], last), whole, after)


def _stacked(states: Sequence[RecurrentState]) -> RecurrentState:
    """States of one row each as one state (batch, layers, hidden)."""
    cells = [state.cell for state in states if state.cell is not None]
    return RecurrentState(torch.cat([state.hidden for state in states]), torch.cat(cells) if cells else None)
