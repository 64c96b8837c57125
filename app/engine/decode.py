"""Decoding: one unit of steps for all running rows of a model, and the answers of the requests that end in it."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

from app.engine.beam_search import is_over
from app.engine.cuda_graphs import rounded_rows
from app.engine.faults import NOT_A_NUMBER, failed, in_halves, is_out_of_memory, reason_of
from app.engine.hypotheses import decoded, progress, row_hypotheses
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Event, Progress
from app.engine.request import Output, Request
from app.engine.sampling import Choice, choose, most_probable
from app.engine.sampling_options import options_of
from app.engine.slots import BAD, RUNNING, Snapshot
from app.engine.trace import traced
from app.models.networks import EncoderDecoder
from app.models.state import State

log = logging.getLogger("unroll.engine")


def decode(model: LoadedModel, steps: int) -> list[Output]:
    """Up to `steps` tokens for every running row: the answers of requests that ended, and the progress of streams. An
    error ends the request that causes it."""
    outputs: list[Output] = []
    try:
        if _runs_in_one_go(model):
            _unit_in_one_go(model, steps, outputs)
        else:
            _unit_step_by_step(model, steps, outputs)
        outputs += in_halves(list(model.slots.streams), partial(_progress, model), _fail_alone, model.count_error)
    except Exception as error:  # between steps, where no request is the cause
        model.count_error(error)
        ended = {request for request, event in outputs if not isinstance(event, Progress)}
        outputs += _fail(model, [request for request in model.slots.requests if request not in ended], error)
    for request, event in outputs:
        if isinstance(event, Progress):
            request.sent += len(event.tokens)
        else:
            release(model, request)  # of one that failed after its last step
    model.count_unit()
    return outputs


def answer_at_deadline(model: LoadedModel, request: Request) -> Event | None:
    """End a request with the tokens that it has; None if it does not decode yet."""
    answer: Event | None = None
    try:
        if request.rows:
            hypotheses = row_hypotheses(model.slots, [request], model.slots.snapshot(), "deadline")
            answer = decoded(model, request, hypotheses.get(request), "deadline")
    except Exception as error:
        model.count_error(error)
        _, answer = _fail_alone(request, error)
    release(model, request)
    return answer


def release(model: LoadedModel, *requests: Request) -> None:
    """Free the rows of requests, if they have any, and drop their explanations."""
    for request in requests:
        model.explaining.pop(request, None)
    if running := [request for request in requests if request.rows]:
        with torch.inference_mode():
            model.slots.release(running)


def _runs_in_one_go(model: LoadedModel) -> bool:
    slots = model.slots
    return (
        model.runs_units
        and model.units is not None
        and slots.count > 0
        and slots.are_plain
        and model.block >= rounded_rows(slots.count, slots.capacity)
    )


def _unit_in_one_go(model: LoadedModel, steps: int, outputs: list[Output]) -> None:
    """A unit of plain decoding, as a CUDA graph on a GPU."""
    assert model.units is not None
    try:
        with torch.inference_mode():
            model.units.run(steps)
    except Exception as error:
        outputs += _after_fault(model, error)
        return
    model.counters.decode_steps += steps
    model.counters.decode_rows += steps * model.slots.count
    _finish_ended(model, outputs)


def _unit_step_by_step(model: LoadedModel, steps: int, outputs: list[Output]) -> None:
    for step in range(steps):
        if not model.slots.count:
            break
        try:
            _step(model)
        except Exception as error:
            outputs += _after_fault(model, error)
            continue
        if model.releases_each_step or step == steps - 1:
            _finish_ended(model, outputs)


def _after_fault(model: LoadedModel, error: Exception) -> list[Output]:
    """Out of memory halves the rows that run at once. If that is no way, the requests fail whose next step fails also
    without the others; if there is none, the one that arrived last. A step that was stored in part ends all."""
    model.count_error(error)
    requests = model.slots.requests
    if model.slots.is_torn:
        return _fail(model, requests, error)
    if is_out_of_memory(error) and model.shrink_block():
        return []
    outputs = in_halves(requests, partial(_rehearse, model), _fail_alone, model.count_error)
    release(model, *(request for request, _ in outputs))
    return outputs or _fail(model, requests[-1:], error)


def _fail(model: LoadedModel, requests: Sequence[Request], error: Exception) -> list[Output]:
    release(model, *requests)
    return [_fail_alone(request, error) for request in requests]


def _fail_alone(request: Request, error: Exception) -> Output:
    log.error("a request of %s failed", request.model, exc_info=error)
    return failed(request, reason_of(error))


@torch.inference_mode()
def _rehearse(model: LoadedModel, requests: Sequence[Request]) -> list[Output]:
    """Compute the next step of some requests alone, and drop it."""
    network, slots = model.network, model.slots
    assert isinstance(network, EncoderDecoder)
    rows = torch.tensor([row for request in requests for row in request.rows], device=model.device)
    previous, state = slots.view(slice(None))
    of_rows = {name: storage[rows] for name, storage in cast(dict[str, Tensor], state).items()}
    logits, _, weights = network.step(previous[rows], cast(State, of_rows))
    places = iter(range(len(rows)))
    with_rows = [(request, [next(places) for _ in request.rows]) for request in requests]
    options = options_of([(request.decode, mine) for request, mine in with_rows], model.device)
    history = slots.history[rows, : _longest(model)]
    choice = choose(
        logits, slots.steps[rows], history, slots.scores[rows], options, model.decoding.end, how=model.decoding.search
    )
    traced(with_rows, choice, weights)
    return []


@torch.inference_mode()
def _step(model: LoadedModel) -> None:
    """One token for every running row. It is computed first and stored afterwards: what fails changes nothing."""
    network, slots = model.network, model.slots
    assert isinstance(network, EncoderDecoder)
    blocks = [slice(first, min(first + model.block, slots.count)) for first in range(0, slots.count, model.block)]
    stepped = [network.step(*slots.view(rows)) for rows in blocks]
    logits = torch.cat([step[0] for step in stepped]) if len(stepped) > 1 else stepped[0][0]
    if slots.are_plain:
        choice, records = most_probable(logits), []
    else:
        choice = _choose(model, logits)
        weights = [step[2] for step in stepped]
        attention = None if weights[0] is None else torch.cat([w for w in weights if w is not None])
        records = traced([(request, request.rows) for request in slots.requests], choice, attention)
    with slots.storing():
        for rows, (_, state, _) in zip(blocks, stepped, strict=True):
            slots.advance(rows, state)
        slots.take(choice, model.decoding.end)
        for record in records:
            record.store()
    model.counters.decode_steps += 1
    model.counters.decode_rows += slots.count


def _choose(model: LoadedModel, logits: Tensor) -> Choice:
    slots = model.slots
    return choose(
        logits,
        slots.steps[: slots.count],
        slots.history[: slots.count, : _longest(model)],
        slots.scores[: slots.count],
        slots.options,
        model.decoding.end,
        how=model.decoding.search,
    )


def _longest(model: LoadedModel) -> int:
    """Positions of the history that the choice of a token looks at."""
    slots = model.slots
    if slots.options.constrain and model.releases_each_step:
        return max(1, int(slots.steps[: slots.count].max()))
    return slots.history.shape[1]


def _finish_ended(model: LoadedModel, outputs: list[Output]) -> None:
    """Answer and release the requests that ended."""
    slots, until = model.slots, model.decoding.until
    snapshot = slots.snapshot()
    candidates = [] if slots.are_plain else slots.requests
    searches = [request for request in candidates if request.decode.beams > 1 and is_over(request, until)]
    ended = snapshot.ended.tolist()
    done = list(dict.fromkeys([slots.owners[row] for row, how in enumerate(ended) if how != RUNNING] + searches))
    if not done:
        return
    outputs += in_halves(done, partial(_answers, model, snapshot), _fail_alone, model.count_error)
    release(model, *done)


def _answers(model: LoadedModel, snapshot: Snapshot, requests: Sequence[Request]) -> list[Output]:
    """The last events of requests, and before the last one of a stream its last tokens."""
    ended = snapshot.ended.tolist()
    good = {request: None for request in requests if all(ended[row] != BAD for row in request.rows)}
    hypotheses = row_hypotheses(model.slots, list(good), snapshot, "length")
    outputs = [failed(request, NOT_A_NUMBER) for request in requests if request not in good]
    for request in good:
        hypothesis = hypotheses.get(request)
        if hypothesis and request.decode.stream and (fresh := progress(request, hypothesis)):
            outputs.append((request, fresh))
        outputs.append((request, decoded(model, request, hypothesis, "length")))
    return outputs


def _progress(model: LoadedModel, streams: Sequence[Request]) -> list[Output]:
    hypotheses = row_hypotheses(model.slots, streams, model.slots.snapshot(), "length")
    return [(request, fresh) for request in streams if (fresh := progress(request, hypotheses[request]))]
