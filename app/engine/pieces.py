"""Answers that are computed in pieces: one piece, and the answer of its request when it is complete."""

import torch

from app.engine.faults import failed, failed_alone
from app.engine.loaded_model import LoadedModel
from app.engine.request import Output, Request
from app.errors import StoreError
from app.models.pieces import InPieces


def run_piece(model: LoadedModel) -> list[Output]:
    """Run a piece for the first request that has some. An error ends that request alone, unless it is the device's."""
    request = min(model.in_pieces, key=_order)
    try:
        with model.number_types(), torch.inference_mode():
            output = _next(model.in_pieces[request])
    except StoreError as error:  # the files have changed since the version was loaded
        output = failed(request, error.detail)
    except Exception as error:
        model.count_error(error)
        output = failed_alone(request, error)
    if output is None:
        return []
    model.stop_pieces(request)
    return [output]


def _next(pieces: InPieces[Output]) -> Output | None:
    """Run the next piece: the answer, once it is complete."""
    try:
        next(pieces)
    except StopIteration as complete:
        output: Output = complete.value
        return output
    return None


def _order(request: Request) -> tuple[float, int]:
    return request.order
