"""Answers from encoded sources: a label at once, or rows of the running batch for tokens to come."""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor

from app.engine.faults import NOT_A_NUMBER, failed
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Activations, Decode, Explain, Explanation, Label, Labelled, Tokens
from app.engine.request import Output, Request
from app.models.encoders import Encoded
from app.models.explain import layer_activations, probabilities_after_each
from app.models.networks import Classifier, EncoderDecoder


def answer(model: LoadedModel, requests: Sequence[Request], encoded: Encoded, lengths: Tensor) -> list[Output]:
    """Answer requests whose sources are encoded; `lengths` (batch,) are those of their memories."""
    kind = requests[0].answer  # a model gives one kind
    match kind:
        case Label():
            return _label(model, requests, encoded, lengths)
        case Decode():
            _start_decoding(model, requests, encoded, lengths)
            return []
        case _:
            assert_never(kind)


def _label(model: LoadedModel, requests: Sequence[Request], encoded: Encoded, lengths: Tensor) -> list[Output]:
    assert isinstance(model.network, Classifier)
    rows = model.network.label(encoded, lengths).float().softmax(1).tolist()
    return [_labelled(model, request, scores) for request, scores in zip(requests, rows, strict=True)]


def _labelled(model: LoadedModel, request: Request, scores: list[float]) -> Output:
    """An explained label comes from the network that explains it."""
    assert isinstance(request.answer, Label)
    explanation = None
    if request.answer.explain is not None:
        explanation = _explanation(model, request, request.answer.explain)
        scores = explanation.probabilities[-1]
    if any(score != score for score in scores):
        return failed(request, NOT_A_NUMBER)
    return request, Labelled(request.key[1], scores, explanation)


def _explanation(model: LoadedModel, request: Request, explain: Explain) -> Explanation:
    assert model.exact is not None  # every classifier has it
    assert isinstance(request.source, Tokens)
    tokens, layer = torch.tensor(request.source.ids), explain.layer
    probabilities = probabilities_after_each(model.exact, tokens).tolist()
    directions = [] if layer is None else layer_activations(model.exact, tokens, layer)
    activations = [
        Activations(
            one.hidden.tolist(),
            [] if one.cell is None else one.cell.tolist(),
            {name: values.tolist() for name, values in one.gates.items()},
        )
        for one in directions
    ]
    return Explanation(probabilities, activations)


def _start_decoding(model: LoadedModel, requests: Sequence[Request], encoded: Encoded, lengths: Tensor) -> None:
    assert isinstance(model.network, EncoderDecoder)
    state = model.network.decoder.start(encoded)
    memory = state["memory"].shape[1] if "memory" in state else 0
    for request, length in zip(requests, lengths.tolist() if memory else [0] * len(requests), strict=True):
        request.memory = min(memory, length)
    vocabulary = model.network.config.decoder.vocabulary_size
    model.slots.admit(requests, state, bos=model.decoding.bos, past_end=vocabulary)
