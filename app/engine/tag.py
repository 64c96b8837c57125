"""Labels of the tokens of texts: at once, or in pieces for a long text whose labels a CRF chooses together."""

from collections.abc import Sequence

from torch import Tensor

from app.engine.faults import NOT_A_NUMBER, failed
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Tag, Tagged, Tokens
from app.engine.request import Output, Request
from app.engine.tables import table
from app.engine.transfers import to_host
from app.models.crf import PIECE
from app.models.encoders import Encoded
from app.models.networks import Tagger
from app.models.pieces import InPieces, at_once


def tag(model: LoadedModel, requests: Sequence[Request], encoded: Encoded) -> list[Output]:
    """The answers of requests whose texts are encoded. Those of long texts follow piece by piece."""
    network = model.network
    assert isinstance(network, Tagger)
    logits, lengths = network.logits(encoded).float(), encoded.lengths
    steps = [_steps(request) for request in requests]
    outputs: list[Output] = []
    groups: dict[bool, list[int]] = {}  # places of those that are answered at once, by whether they want scores
    for place, request in enumerate(requests):
        if network.crf is not None and steps[place] > PIECE:
            alone = slice(place, place + 1)
            own = logits[alone, : steps[place]].clone()  # without the rest of the batch
            model.in_pieces[request] = _in_pieces(network, request, own, lengths[alone])
        else:
            groups.setdefault(_wants_scores(request), []).append(place)
    for places in groups.values():
        mine = logits[places, : max(steps[place] for place in places)]
        outputs += at_once(_tagged(network, [requests[place] for place in places], mine, lengths[places]))
    return outputs


def _in_pieces(network: Tagger, request: Request, logits: Tensor, lengths: Tensor) -> InPieces[Output]:
    """The answer of one request."""
    (output,) = yield from _tagged(network, [request], logits, lengths)
    return output


def _tagged(network: Tagger, requests: Sequence[Request], logits: Tensor, lengths: Tensor) -> InPieces[list[Output]]:
    """logits (batch, source, labels), lengths (batch,): the answers of requests of which all want scores, or none."""
    labels = yield from network.labels(logits, lengths)
    scores = (yield from network.probabilities(logits, lengths)) if _wants_scores(requests[0]) else None
    labels, is_bad = to_host((labels, logits.isnan().any(2)))
    scores = None if scores is None else to_host(scores)
    outputs: list[Output] = []
    for row, request in enumerate(requests):
        length = _steps(request)
        if bool(is_bad[row, :length].any()):
            outputs.append(failed(request, NOT_A_NUMBER))
        else:
            of_request = None if scores is None else table(scores[row, :length])
            outputs.append((request, Tagged(request.key[1], labels[row, :length].tolist(), of_request)))
    return outputs


def _steps(request: Request) -> int:
    assert isinstance(request.source, Tokens)
    return len(request.source.ids)


def _wants_scores(request: Request) -> bool:
    assert isinstance(request.answer, Tag)
    return request.answer.scores
