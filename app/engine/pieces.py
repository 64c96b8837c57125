"""Answers that are computed in pieces: one piece, and the answer of its request when it is complete."""

import torch

from app.engine.faults import failed, failed_alone
from app.engine.loaded_model import LoadedModel, PieceTurn
from app.engine.request import Output, Request
from app.errors import StoreError
from app.models.pieces import InPieces


def run_piece(model: LoadedModel) -> list[Output]:
    """Run a piece for one of the requests that have some. An error ends that request alone, unless it is the
    device's."""
    request = _take_turn(model)
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


def _take_turn(model: LoadedModel) -> Request:
    """The request that is next. Clients take turns, and so do the HTTP requests of one client; the inputs of one follow
    each other. A long answer holds up only its own."""
    here = {turn for request in model.in_pieces for turn in _turns_of(request)}
    before = {turn: number for turn, number in model.piece_turns.items() if turn in here}

    def place(request: Request) -> tuple[int, int, tuple[float, int]]:
        of_client, of_group = _turns_of(request)
        return before.get(of_client, 0), before.get(of_group, 0), request.order

    request = min(model.in_pieces, key=place)
    latest = max(before.values(), default=0) + 1
    model.piece_turns = before | dict.fromkeys(_turns_of(request), latest)
    return request


def _turns_of(request: Request) -> tuple[PieceTurn, PieceTurn]:
    """The client and the HTTP request whose turn it is."""
    terms = request.terms
    return (terms.client, None), (terms.client, terms.group)
