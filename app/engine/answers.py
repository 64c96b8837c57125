"""Answers from encoded sources: at once, in pieces, or rows of the running batch for tokens and numbers to come."""

from collections.abc import Sequence
from typing import assert_never, cast

import torch
from torch import Tensor

from app.engine.carried_state import recurrent_state
from app.engine.explain import explained, labelled
from app.engine.faults import NOT_FINITE, failed
from app.engine.forecast import start_forecasts
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import (
    AnswerSpec,
    Decode,
    Embed,
    Embedded,
    Forecast,
    Label,
    Replay,
    Tag,
    Tokens,
)
from app.engine.request import Output, Request
from app.engine.tables import table
from app.engine.tag import tag
from app.engine.transfers import to_device, to_host
from app.models.encoders import Encoded
from app.models.networks import Classifier, EncoderDecoder, TokenNetwork
from app.models.pooling import pooled
from app.models.state import State
from app.models.window_language_model import WindowLanguageModel
from app.store.classifier import Classifier as ClassifierConfig
from app.store.encoder_part import Pooling
from app.store.forecaster import Forecaster as ForecasterConfig


def answer(model: LoadedModel, requests: Sequence[Request], encoded: Encoded) -> list[Output]:
    """Answer requests whose sources are encoded: states first, since the other kind may change the running batch, and
    all are encoded again after an error."""
    of_kind: dict[bool, list[int]] = {}
    for place, request in enumerate(requests):
        of_kind.setdefault(isinstance(request.answer, Embed), []).append(place)
    outputs: list[Output] = []
    for _, places in sorted(of_kind.items(), reverse=True):
        mine = [requests[place] for place in places]
        outputs += _answer_kind(model, mine, encoded if len(of_kind) == 1 else _rows_of(encoded, places))
    return outputs


def _rows_of(encoded: Encoded, rows: Sequence[int]) -> Encoded:
    return encoded.rows(to_device(torch.tensor(rows), encoded.memory.device))


def _answer_kind(model: LoadedModel, requests: Sequence[Request], encoded: Encoded) -> list[Output]:
    kind = requests[0].answer  # of each: beside states a model gives one kind
    match kind:
        case Label():
            return _label(model, requests, encoded)
        case Tag():
            return tag(model, requests, encoded)
        case Embed():
            return _embed(requests, encoded)
        case Forecast():
            return start_forecasts(model, requests, encoded)
        case Decode():
            _start_decoding(model, requests, encoded)
            return []
        case Replay():
            raise AssertionError("what is replayed is not encoded first")
        case _:
            assert_never(kind)


def poolings_of(model: LoadedModel, wanted: AnswerSpec) -> tuple[Pooling, ...] | None:
    """How an answer pools the outputs of the encoder, beside taking the last one; None if it needs all of them. Pooled
    while it is read, a source of any length takes the same memory."""
    architecture = model.manifest.architecture
    match wanted:
        case Label() | Forecast():
            assert isinstance(architecture, ClassifierConfig | ForecasterConfig)
            wants_all = isinstance(wanted, Forecast) and wanted.states
            return None if wants_all or architecture.reads_all_outputs else _not_last(architecture.pooling)
        case Decode():
            attends = isinstance(model.network, EncoderDecoder) and model.network.decoder.attends
            return None if attends else ()
        case Embed():
            return _not_last((wanted.pooling,))
        case Tag() | Replay():
            return None
        case _:
            assert_never(wanted)


def own_poolings(model: LoadedModel) -> tuple[Pooling, ...]:
    """How the answer that a model is made for pools the outputs of its encoder, beside taking the last one."""
    architecture = model.manifest.architecture
    if not isinstance(architecture, ClassifierConfig | ForecasterConfig) or architecture.reads_all_outputs:
        return ()
    return _not_last(architecture.pooling)


def _not_last(poolings: tuple[Pooling, ...]) -> tuple[Pooling, ...]:
    return tuple(pooling for pooling in poolings if pooling not in ("last", "last_cell"))


def _label(model: LoadedModel, requests: Sequence[Request], encoded: Encoded) -> list[Output]:
    """Labels at once, except those that are explained: they come from the network that explains them."""
    assert isinstance(model.network, Classifier)
    rows = model.network.probabilities(model.network.label(encoded)).tolist()
    outputs = []
    for request, scores in zip(requests, rows, strict=True):
        assert isinstance(request.answer, Label)
        if request.answer.explain is None:
            outputs.append(labelled(request, scores))
        else:
            model.in_pieces[request] = explained(model, request, request.answer.explain)
    return outputs


def _embed(requests: Sequence[Request], encoded: Encoded) -> list[Output]:
    """The state of the layer that was encoded last."""
    poolings: dict[Pooling, Tensor] = {}
    for request in requests:
        assert isinstance(request.answer, Embed)
        pooling = request.answer.pooling
        if pooling not in poolings:
            poolings[pooling] = pooled((pooling,), encoded._replace(branch=None))
    on_host = dict(zip(poolings, to_host([*poolings.values()]), strict=True))
    outputs = []
    for row, request in enumerate(requests):
        assert isinstance(request.answer, Embed)
        state = on_host[request.answer.pooling][row, None]
        is_bad = not bool(state.isfinite().all())
        outputs.append(failed(request, NOT_FINITE) if is_bad else (request, Embedded(request.key[1], table(state))))
    return outputs


def _start_decoding(model: LoadedModel, requests: Sequence[Request], encoded: Encoded) -> None:
    assert isinstance(model.network, EncoderDecoder)
    state = model.network.decoder.start(encoded)
    if unread := _unread(requests):
        _begin_anew(state, unread)
        _go_on(state, requests, unread)
    memory = state["memory"].shape[1] if "memory" in state else 0
    encoder = model.network.config.encoder
    for request in requests:
        request.memory = memory
        if isinstance(request.source, Tokens) and encoder.kind == "text":
            request.memory = min(memory, encoder.memory_length(len(request.source.ids)))
    _admit(model, requests, state)


def start_windows(model: LoadedModel, requests: Sequence[Request], sources: Tensor, lengths: Tensor) -> None:
    """Start to decode from tokens (batch, source) with lengths (batch,) that each step reads anew."""
    assert isinstance(model.network, WindowLanguageModel)
    model.counters.encoded += len(requests)
    if unread := _unread(requests):
        lengths[to_device(torch.tensor(unread), lengths.device)] = 0
    _admit(model, requests, model.network.encode(sources, lengths))


def _begin_anew(state: State, rows: Sequence[int]) -> None:
    """Put the recurrent state before the first token into some rows."""
    parts = cast(dict[str, Tensor], state)
    index = to_device(torch.tensor(rows), parts["hidden"].device)
    parts |= {name: parts[name].index_fill(0, index, 0) for name in ("hidden", "cell") if name in parts}


def _go_on(state: State, requests: Sequence[Request], rows: Sequence[int]) -> None:
    """Replace the state of rows by that with which their request came, if it has one."""
    parts = cast(dict[str, Tensor], state)
    for row in rows:
        if (start := requests[row].carry.start) is not None:
            given = recurrent_state(start, parts["hidden"][row, None])
            parts["hidden"][row] = given.hidden[0]
            if given.cell is not None:
                parts["cell"][row] = given.cell[0]


def _unread(requests: Sequence[Request]) -> list[int]:
    """The places of the requests whose source is not read."""
    sources = [request.source for request in requests]
    return [place for place, source in enumerate(sources) if isinstance(source, Tokens) and source.unread]


def _admit(model: LoadedModel, requests: Sequence[Request], state: State) -> None:
    """Add rows for requests to the running batch, from a state with one row of each."""
    assert isinstance(model.network, TokenNetwork)
    vocabulary = model.network.config.decoder.vocabulary_size
    try:
        for slots, chosen in model.by_group(requests):
            mine = state if len(chosen) == len(requests) else _state_of(state, chosen, model.device)
            slots.admit([requests[row] for row in chosen], mine, bos=model.decoding.bos, past_end=vocabulary)
    except Exception:  # all of them are encoded again, in halves
        for slots in model.groups:
            slots.release([request for request in requests if request in slots])
        raise


def _state_of(state: State, rows: Sequence[int], device: torch.device) -> State:
    index = to_device(torch.tensor(rows), device)
    return cast(State, {name: tensor[index] for name, tensor in cast(dict[str, Tensor], state).items()})
