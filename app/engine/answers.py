"""Answers from encoded sources: a label at once, or rows of the running batch for tokens to come."""

from collections.abc import Sequence
from typing import assert_never, cast

import torch
from torch import Tensor

from app.engine.faults import NOT_A_NUMBER, failed
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Decode, Explain, Explanation, Label, Labelled, Tokens
from app.engine.request import Output, Request
from app.engine.transfers import to_device
from app.models.encoders import Encoded
from app.models.explain import Explained, InPieces, explain
from app.models.networks import Classifier, EncoderDecoder
from app.models.state import State


def answer(model: LoadedModel, requests: Sequence[Request], encoded: Encoded, lengths: Tensor) -> list[Output]:
    """Answer requests whose sources are encoded; `lengths` (batch,) are those of their memories."""
    kind = requests[0].answer  # a model gives one kind
    match kind:
        case Label():
            return _label(model, requests, encoded, lengths)
        case Decode():
            _start_decoding(model, requests, encoded)
            return []
        case _:
            assert_never(kind)


def _label(model: LoadedModel, requests: Sequence[Request], encoded: Encoded, lengths: Tensor) -> list[Output]:
    """Labels at once, except those that are explained: they come from the network that explains them."""
    assert isinstance(model.network, Classifier)
    rows = model.network.label(encoded).float().softmax(1).tolist()
    outputs = []
    for request, scores in zip(requests, rows, strict=True):
        assert isinstance(request.answer, Label)
        if request.answer.explain is None:
            outputs.append(labelled(request, scores))
        else:
            _start_explaining(model, request, request.answer.explain)
    return outputs


def labelled(request: Request, scores: list[float], explanation: Explanation | None = None) -> Output:
    """The answer of a request, unless a score is not a number."""
    if any(score != score for score in scores):
        return failed(request, NOT_A_NUMBER)
    return request, Labelled(request.key[1], scores, explanation)


def _start_explaining(model: LoadedModel, request: Request, how: Explain) -> None:
    assert isinstance(request.source, Tokens)
    model.explaining[request] = _explained(model, request.source, how)


def _explained(model: LoadedModel, source: Tokens, how: Explain) -> InPieces[Explained]:
    exact = yield from _exact(model)
    return (yield from explain(exact, torch.tensor(source.ids), how.layer, how.units))


def _exact(model: LoadedModel) -> InPieces[Classifier]:
    """The float32 network of a classifier. Explanations that run in turns make it together, once."""
    while model.exact is None:
        if model.making_exact is None:
            assert model.make_exact is not None
            model.making_exact = model.make_exact()
        making, model.making_exact = model.making_exact, None  # an error ends it
        try:
            next(making)
        except StopIteration as made:
            model.exact = made.value
            continue
        model.making_exact = making
        yield
    return model.exact


def _start_decoding(model: LoadedModel, requests: Sequence[Request], encoded: Encoded) -> None:
    assert isinstance(model.network, EncoderDecoder)
    state = model.network.decoder.start(encoded)
    memory = state["memory"].shape[1] if "memory" in state else 0
    for request in requests:
        request.memory = min(memory, len(request.source.ids)) if isinstance(request.source, Tokens) else memory
    vocabulary = model.network.config.decoder.vocabulary_size
    try:
        for slots, chosen in model.by_group(requests):
            mine = state if len(chosen) == len(requests) else _rows_of(state, chosen, model.device)
            slots.admit([requests[row] for row in chosen], mine, bos=model.decoding.bos, past_end=vocabulary)
    except Exception:  # all of them are encoded again, in halves
        for slots in model.groups:
            slots.release([request for request in requests if request in slots])
        raise


def _rows_of(state: State, rows: Sequence[int], device: torch.device) -> State:
    index = to_device(torch.tensor(rows), device)
    return cast(State, {name: tensor[index] for name, tensor in cast(dict[str, Tensor], state).items()})
