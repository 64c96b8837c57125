"""Labels of the tokens of texts: at once, or in pieces for a long text whose labels a CRF chooses together."""

from collections.abc import Sequence

from torch import Tensor

from app.engine.faults import NOT_FINITE, failed
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
    together: list[int] = []  # places of those that are answered at once
    for place, request in enumerate(requests):
        if network.crf is not None and steps[place] > PIECE:
            alone = slice(place, place + 1)
            own = logits[alone, : steps[place]].clone()  # without the rest of the batch
            model.in_pieces[request] = _in_pieces(network, request, own, lengths[alone])
        else:
            together.append(place)
    if together:
        mine = logits[together, : max(steps[place] for place in together)]
        outputs += at_once(_tagged(network, [requests[place] for place in together], mine, lengths[together]))
    return outputs


def _in_pieces(network: Tagger, request: Request, logits: Tensor, lengths: Tensor) -> InPieces[Output]:
    """The answer of one request."""
    (output,) = yield from _tagged(network, [request], logits, lengths)
    return output


def _tagged(network: Tagger, requests: Sequence[Request], logits: Tensor, lengths: Tensor) -> InPieces[list[Output]]:
    """logits (batch, source, labels), lengths (batch,): the answer of each request. The probabilities of all labels
    leave the device for those who want them."""
    labels = yield from network.labels(logits, lengths)
    scores = yield from network.probabilities(logits, lengths)
    chosen = scores.gather(2, labels.unsqueeze(2))  # batch x source x 1
    wanting = [row for row, request in enumerate(requests) if _wants_scores(request)]
    tables = {row: scores[row, : _steps(requests[row])] for row in wanting}
    labels, chosen, is_bad, tables = to_host((labels, chosen, ~logits.isfinite().all(2), tables))
    outputs: list[Output] = []
    for row, request in enumerate(requests):
        length = _steps(request)
        if bool(is_bad[row, :length].any()):
            outputs.append(failed(request, NOT_FINITE))
        else:
            of_all = table(tables[row]) if row in tables else None
            tagged = Tagged(request.key[1], labels[row, :length].tolist(), table(chosen[row, :length]), of_all)
            outputs.append((request, tagged))
    return outputs


def _steps(request: Request) -> int:
    assert isinstance(request.source, Tokens)
    return len(request.source.ids)


def _wants_scores(request: Request) -> bool:
    assert isinstance(request.answer, Tag)
    return request.answer.scores
