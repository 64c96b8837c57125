"""Labels with an explanation, in pieces: from the float32 network of a classifier, on the host."""

import math
from itertools import chain

from torch import Tensor

from app.engine.faults import NOT_FINITE, failed
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Activations, Explain, Explanation, Labelled
from app.engine.request import Output, Request
from app.engine.sources import tensor_of
from app.engine.tables import table
from app.models.explain import Activations as LayerActivations
from app.models.explain import explain
from app.models.networks import Classifier
from app.models.pieces import InPieces


def labelled(request: Request, scores: list[float], explanation: Explanation | None = None) -> Output:
    """The answer of a request, unless a score is not finite."""
    if not all(map(math.isfinite, scores)):
        return failed(request, NOT_FINITE)
    return request, Labelled(request.key[1], scores, explanation)


def explained(model: LoadedModel, request: Request, how: Explain) -> InPieces[Output]:
    """The answer of a request with its explanation, which has the scores of the same computation."""
    exact = yield from _exact(model)
    found = yield from explain(exact, tensor_of(request.source), how.layer, how.units)
    numbers = [found.probabilities, *chain.from_iterable(_numbers(one) for one in found.directions)]
    if not all(bool(values.isfinite().all()) for values in numbers):
        return failed(request, NOT_FINITE)
    activations = [
        Activations(
            one.units.tolist(),
            table(one.hidden),
            None if one.cell is None else table(one.cell),
            {name: table(values) for name, values in one.gates.items()},
        )
        for one in found.directions
    ]
    scores = found.probabilities[-1].tolist()
    return labelled(request, scores, Explanation(table(found.probabilities), activations))


def _numbers(activations: LayerActivations) -> list[Tensor]:
    """All numbers of the units of one direction."""
    cell = [] if activations.cell is None else [activations.cell]
    return [activations.hidden, *cell, *activations.gates.values()]


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
