"""Encoding: chunks of sources to recurrent states, and from the last chunk of a source on to its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from app.engine.answers import answer, own_poolings, poolings_of, start_windows
from app.engine.carried_state import Partial, keep_state, started, steps_read
from app.engine.explain import replayed
from app.engine.faults import failed_alone, in_halves
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import AnswerSpec, Decode, Embed, Replay
from app.engine.request import Chunk, Output, Request
from app.engine.sources import padded
from app.engine.transfers import to_device
from app.models.cells import RecurrentState
from app.models.encoders import Encoded, ImageEncoder, RecurrentEncoder, SeriesEncoder, TextEncoder
from app.models.pooling import nothing_pooled, pooled_further, pooled_parts
from app.models.recurrent import Recurrent, last_of
from app.models.steps import Steps
from app.models.window_language_model import WindowLanguageModel
from app.store.classifier import Classifier
from app.store.encoder_part import Pooling
from app.store.forecaster import Forecaster

_LEAST_ROWS = 16  # of a matrix for which MKL and oneDNN take the kernel of large ones
_NO_LAYER = 0  # the ids of a source are the state of a window language model


@dataclass(frozen=True, slots=True)
class Inputs:
    """Part of a list of frames that is read as a whole: what was encoded so far, each (steps, features)."""

    parts: list[Tensor]


class Batch(NamedTuple):
    """The requests whose last chunk was encoded, and their sources, None without any; and the partial state of each
    source that comes in chunks."""

    requests: list[Request]
    encoded: Encoded | None
    partials: Sequence[tuple[Request, Partial | Inputs | None]] = ()


def encode(model: LoadedModel, chunks: Sequence[Chunk]) -> list[Output]:
    """Run chunks of sources of one kind: the result is answers, or rows that `decode` or `forecast` continues.

    An error halves the batch, down to the request that causes it, which fails alone. One of the device is raised.
    """
    outputs: list[Output] = []
    chunks = _without_replays(model, chunks)
    with model.number_types():
        for layers, some in _by_layers(model, chunks).items():
            outputs += in_halves(some, partial(_encode, model, layers), partial(_fail, model), model.count_error)
    return outputs


def _without_replays(model: LoadedModel, chunks: Sequence[Chunk]) -> list[Chunk]:
    """The chunks of sources that are to be encoded: what is replayed is encoded in pieces, in float32."""
    others = []
    for chunk in chunks:
        request, how = chunk.request, chunk.request.answer
        if isinstance(how, Replay):
            model.in_pieces[request] = replayed(model, request, how)
        else:
            others.append(chunk)
    return others


def _by_layers(model: LoadedModel, chunks: Sequence[Chunk]) -> dict[int | None, list[Chunk]]:
    """The chunks by the number of layers that read them; None stands for all."""
    groups: dict[int | None, list[Chunk]] = {}
    for chunk in chunks:
        groups.setdefault(_layers(model, chunk.request.answer), []).append(chunk)
    return groups


def _layers(model: LoadedModel, wanted: AnswerSpec) -> int | None:
    """A state is that of a layer, before the stages that follow the last one."""
    encoder = model.network.encoder
    if isinstance(model.network, WindowLanguageModel) and isinstance(wanted, Decode):
        return _NO_LAYER
    if not isinstance(wanted, Embed) or isinstance(encoder, ImageEncoder):
        return None
    every = encoder.recurrence.recurrence.layers
    layers = every if wanted.layer is None else wanted.layer + 1
    return layers if layers < every or encoder.config.back else None


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
    if layers == _NO_LAYER:
        start_windows(model, [chunk.request for chunk in chunks], sources, lengths)
        return []
    batch = _batch(model, layers, chunks, _with_rows(model, sources), lengths)
    outputs: list[Output] = []
    if batch.encoded is not None:
        model.counters.encoded += len(batch.requests)
        outputs = answer(model, batch.requests, batch.encoded)
    for request, state in batch.partials:  # only now: a batch that failed runs again in halves
        request.partial = state
    return outputs


def _with_rows(model: LoadedModel, sources: Tensor) -> Tensor:
    """Sources (batch, steps, ...) with further padding, if the product with few of its rows would have other bits than
    with many: a source has the same state wherever it is cut."""
    encoder = model.network.encoder
    if not isinstance(encoder, TextEncoder | SeriesEncoder) or not isinstance(encoder.recurrence, Recurrent):
        return sources
    if sources.device.type != "cpu" or not encoder.config.is_divisible or _flattens(model):
        return sources
    lacking = -(-_LEAST_ROWS // len(sources)) - sources.shape[1]
    if lacking <= 0:
        return sources
    return torch.cat((sources, sources.new_zeros(len(sources), lacking, *sources.shape[2:])), 1)


def _flattens(model: LoadedModel) -> bool:
    architecture = model.manifest.architecture
    return isinstance(architecture, Classifier | Forecaster) and "flatten" in architecture.pooling


def _batch(model: LoadedModel, layers: int | None, chunks: Sequence[Chunk], sources: Tensor, lengths: Tensor) -> Batch:
    """Encode sources (batch, steps, ...) with lengths (batch,)."""
    encoder = model.network.encoder
    requests = [chunk.request for chunk in chunks]
    if isinstance(encoder, ImageEncoder):
        return Batch(requests, encoder(sources.squeeze(1), lengths))
    if all(chunk.is_whole and not chunk.request.carries for chunk in chunks):
        encoded = encoder(sources, lengths, layers=layers)
        return Batch(requests, encoded._replace(pools=_sums(model, encoder, requests, encoded)))
    if encoder.config.is_divisible:
        return _encode_parts(model, encoder, layers, chunks, *encoder.embed(sources, lengths))
    return _gather_parts(encoder, layers, chunks, *encoder.features(sources, lengths))


def _sums(
    model: LoadedModel, encoder: RecurrentEncoder, requests: Sequence[Request], encoded: Encoded
) -> dict[Pooling, Tensor]:
    """The sums and means of whole sources (batch, memory), with the bits that they have if sources come in parts."""
    if not encoder.config.is_divisible:
        return {}
    wanted = {*chain(*(poolings_of(model, request.answer) or () for request in requests))}
    steps, dtype = encoded.lengths.unsqueeze(1), encoded.memory.dtype
    return {
        pooling: pooled_parts(pooling, pooled_further(pooling, encoded), steps, dtype)
        for pooling in wanted & {"mean", "sum"}
    }


def _gather_parts(
    encoder: RecurrentEncoder, layers: int | None, chunks: Sequence[Chunk], features: Tensor, steps: Steps
) -> Batch:
    """Keep the features (batch, steps, features) of frames until those of a whole source are there."""
    ended: list[Request] = []
    wholes: list[Tensor] = []
    after: list[tuple[Request, Inputs | None]] = []
    for row, (chunk, length) in enumerate(zip(chunks, steps.lengths.tolist(), strict=True)):
        before = chunk.request.partial
        parts = [*(before.parts if isinstance(before, Inputs) else ()), features[row, :length]]
        after.append((chunk.request, None if chunk.is_last else Inputs(parts)))
        if chunk.is_last:
            ended.append(chunk.request)
            wholes.append(torch.cat(parts))
    if not ended:
        return Batch([], None, after)
    lengths = to_device(torch.tensor([len(whole) for whole in wholes]), features.device)
    inputs, read = encoder.front(pad_sequence(wholes, batch_first=True), Steps(lengths))
    return Batch(ended, encoder.unroll(inputs, read, layers=layers), after)


def _encode_parts(
    model: LoadedModel,
    encoder: RecurrentEncoder,
    layers: int | None,
    chunks: Sequence[Chunk],
    inputs: Tensor,
    steps: Steps,
) -> Batch:
    """Continue each source from its `partial`, or from the state that it came with, with the inputs (batch, steps,
    input) of the recurrence."""
    fresh = Partial(encoder.recurrence.initial_state(1, inputs, layers=layers), [])
    size = encoder.recurrence.recurrence.hidden_size
    before = [chunk.request.partial or started(chunk.request, layers, inputs, size) or fresh for chunk in chunks]
    partials = [one for one in before if isinstance(one, Partial)]
    encoded = encoder.unroll(inputs, steps, _stacked([one.state for one in partials]), layers=layers)
    assert encoded.state is not None
    lasts = last_of(encoded.memory, encoded.lengths)
    wanted = [_kept_poolings(model, chunk.request, layers) for chunk in chunks]
    pooled = {pooling: _further(pooling, encoded, partials) for pooling in {*chain(*(one or () for one in wanted))}}
    ended: list[Chunk] = []
    states, memories, pools = [], [], []
    after: list[tuple[Request, Partial | None]] = []
    for row, (chunk, so_far, poolings) in enumerate(zip(chunks, partials, wanted, strict=True)):
        cell = encoded.state.cell
        state = RecurrentState(encoded.state.hidden[row, None], None if cell is None else cell[row, None])
        kept = {pooling: pooled[pooling][row] for pooling in poolings or ()}
        outputs = [lasts[row, None]]
        if poolings is None:
            outputs = [*so_far.outputs, encoded.memory[row, : chunk.steps // model.step]]
        keep_state(chunk, layers, state, kept)
        after.append((chunk.request, None if chunk.is_last else Partial(state, outputs, kept)))
        if chunk.is_last:
            ended.append(chunk)
            states.append(state)
            memories.append(torch.cat(outputs))
            pools.append(kept)
    if not ended:
        return Batch([], None, after)
    last = _stacked(states)
    whole = to_device(torch.tensor([len(memory) for memory in memories]), inputs.device)
    memory = pad_sequence(memories, batch_first=True)
    mask = torch.arange(memory.shape[1], device=inputs.device) < whole.unsqueeze(1)
    top_cell = None if last.cell is None else last.cell[:, -1]
    kept_pools = _pools(model, ended, pools, memory)
    all_read = Encoded(memory, mask, last.hidden[:, -1], last, pools=kept_pools, last_cell=top_cell)
    return Batch([chunk.request for chunk in ended], all_read, after)


def _kept_poolings(model: LoadedModel, request: Request, layers: int | None) -> tuple[Pooling, ...] | None:
    """The poolings of an answer, and if the state is kept also those of the model's own answer: another request may
    ask for it."""
    poolings = poolings_of(model, request.answer)
    if poolings is None or request.carry.keep is None or layers is not None:
        return poolings
    return tuple(dict.fromkeys((*poolings, *own_poolings(model))))


def _further(pooling: Pooling, encoded: Encoded, partials: Sequence[Partial]) -> Tensor:
    """What a pooling keeps of all parts so far (batch, memory)."""
    nothing = nothing_pooled(pooling, encoded.memory.shape[2], encoded.memory)
    return pooled_further(pooling, encoded, torch.stack([one.pools.get(pooling, nothing) for one in partials]))


def _pools(
    model: LoadedModel, ended: Sequence[Chunk], pools: Sequence[Mapping[Pooling, Tensor]], memory: Tensor
) -> dict[Pooling, Tensor]:
    """The pooled outputs of sources that are read to their end (batch, memory). A row without a pooling is zero: its
    request does not want it."""
    zeros = memory.new_zeros(memory.shape[2])
    together: dict[Pooling, Tensor] = {}
    for pooling in {*chain(*pools)}:
        rows = [
            pooled_parts(pooling, kept[pooling], steps_read(chunk, model.step), memory.dtype)
            if pooling in kept
            else zeros
            for chunk, kept in zip(ended, pools, strict=True)
        ]
        together[pooling] = torch.stack(rows)
    return together


def _stacked(states: Sequence[RecurrentState]) -> RecurrentState:
    """States of one row each as one state (batch, layers, hidden)."""
    cells = [state.cell for state in states if state.cell is not None]
    return RecurrentState(torch.cat([state.hidden for state in states]), torch.cat(cells) if cells else None)
