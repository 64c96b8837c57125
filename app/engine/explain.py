"""Explaining: one piece of the explanation of a label, and the answer of the request when it is complete."""

import torch

from app.engine.answers import labelled
from app.engine.faults import failed, failed_alone, is_out_of_memory
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Activations, Explanation
from app.engine.request import Output, Request
from app.engine.tables import table
from app.errors import StoreError
from app.models.explain import Explained, InPieces


def explain(model: LoadedModel) -> list[Output]:
    """Run a piece for the first request that is explained. An error ends that request alone: explanations run on the
    host."""
    request = min(model.explaining, key=_order)
    try:
        with torch.inference_mode():
            explained = _run_piece(model.explaining[request])
        if explained is None:
            return []
        output = _answer(request, explained)
    except StoreError as error:  # the files have changed since the version was loaded
        output = failed(request, error.detail)
    except Exception as error:
        model.counters.out_of_memory += is_out_of_memory(error)
        output = failed_alone(request, error)
    model.stop_explaining(request)
    return [output]


def _run_piece(pieces: InPieces[Explained]) -> Explained | None:
    """Run the next piece: the explanation, once it is complete."""
    try:
        next(pieces)
    except StopIteration as complete:
        explained: Explained = complete.value
        return explained
    return None


def _order(request: Request) -> tuple[float, int]:
    return request.order


def _answer(request: Request, explained: Explained) -> Output:
    activations = [
        Activations(
            one.units.tolist(),
            table(one.hidden),
            None if one.cell is None else table(one.cell),
            {name: table(values) for name, values in one.gates.items()},
        )
        for one in explained.directions
    ]
    scores = explained.probabilities[-1].tolist()
    return labelled(request, scores, Explanation(table(explained.probabilities), activations))
