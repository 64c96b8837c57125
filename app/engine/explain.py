"""Labels with an explanation, and decoded tokens that are read once more, in pieces: from the float32 network, on the
host."""

import math
from collections.abc import Iterable, Sequence
from itertools import chain

from torch import Tensor

from app.engine.faults import NOT_FINITE, failed
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Activations, Explain, Explanation, Labelled, Replay, Replayed, Tokens
from app.engine.request import Output, Request
from app.engine.sources import tensor_of
from app.engine.tables import table
from app.models.explain import Activations as LayerActivations
from app.models.explain import explain
from app.models.networks import Classifier, EncoderDecoder, Network
from app.models.pieces import InPieces
from app.models.replay import replay


def labelled(request: Request, scores: list[float], explanation: Explanation | None = None) -> Output:
    """The answer of a request, unless a score is not finite."""
    if not all(map(math.isfinite, scores)):
        return failed(request, NOT_FINITE)
    return request, Labelled(request.key[1], scores, explanation)


def explained(model: LoadedModel, request: Request, how: Explain) -> InPieces[Output]:
    """The answer of a request with its explanation, which has the scores of the same computation."""
    exact = yield from _exact(model)
    assert isinstance(exact, Classifier)
    found = yield from explain(exact, tensor_of(request.source), how.layer, how.units)
    if not _are_finite([found.probabilities]) or not _are_finite(_numbers(found.directions)):
        return failed(request, NOT_FINITE)
    scores = found.probabilities[-1].tolist()
    return labelled(request, scores, Explanation(table(found.probabilities), _tables(found.directions)))


def replayed(model: LoadedModel, request: Request, how: Replay) -> InPieces[Output]:
    """The activations of a network that writes an answer once more."""
    exact = yield from _exact(model)
    assert isinstance(exact, EncoderDecoder)
    source = request.source
    ids = tensor_of(Tokens([]) if isinstance(source, Tokens) and source.unread else source)
    found = yield from replay(exact, ids, how.inputs, how.layer, how.units)
    if not _are_finite(_numbers([*found.encoder, *found.decoder])):
        return failed(request, NOT_FINITE)
    return request, Replayed(request.key[1], _tables(found.encoder), _tables(found.decoder))


def _tables(directions: Sequence[LayerActivations]) -> list[Activations]:
    return [
        Activations(
            one.units.tolist(),
            table(one.hidden),
            None if one.cell is None else table(one.cell),
            {name: table(values) for name, values in one.gates.items()},
        )
        for one in directions
    ]


def _are_finite(numbers: Iterable[Tensor]) -> bool:
    return all(bool(values.isfinite().all()) for values in numbers)


def _numbers(directions: Sequence[LayerActivations]) -> list[Tensor]:
    """All numbers of the units of the directions."""
    cells = [one.cell for one in directions if one.cell is not None]
    return [*(one.hidden for one in directions), *cells, *chain.from_iterable(one.gates.values() for one in directions)]


def _exact(model: LoadedModel) -> InPieces[Network]:
    """The network in float32. Explanations that run in turns make it together, once."""
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
