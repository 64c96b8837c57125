"""Decoding: one unit of steps for all running rows of a model, and the answers of the requests that end in it."""

import logging

import torch
from torch import Tensor

from app.engine.beam_search import is_over
from app.engine.cuda_graphs import rounded_rows
from app.engine.faults import NOT_A_NUMBER, failed, is_out_of_memory, reason_of
from app.engine.hypotheses import decoded, progress, row_hypotheses
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Decoded
from app.engine.request import Output, Request
from app.engine.sampling import Choice, choose, most_probable
from app.engine.slots import BAD
from app.engine.trace import record
from app.models.networks import EncoderDecoder

log = logging.getLogger("unroll.engine")


def decode(model: LoadedModel, steps: int) -> list[Output]:
    """Up to `steps` tokens for every running row: the answers of requests that ended, and the progress of streams."""
    outputs = _unit_in_one_go(model, steps) if _runs_in_one_go(model) else _unit_step_by_step(model, steps)
    model.counters.units += 1
    return outputs + _progress_of_streams(model)


def answer_at_deadline(model: LoadedModel, request: Request) -> Decoded | None:
    """End a request with the tokens that it has; None if it does not decode yet."""
    answer = None
    if request.rows:
        hypotheses = row_hypotheses(model.slots, [request], model.slots.snapshot(), "deadline")
        answer = decoded(model, request, hypotheses.get(request), "deadline")
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


def _unit_in_one_go(model: LoadedModel, steps: int) -> list[Output]:
    """A unit of plain decoding, as a CUDA graph on a GPU."""
    assert model.units is not None
    try:
        with torch.inference_mode():
            model.units.run(steps)
    except RuntimeError as error:
        return _after_fault(model, error)
    model.counters.decode_steps += steps
    model.counters.decode_rows += steps * model.slots.count
    return _finish_ended(model)


def _unit_step_by_step(model: LoadedModel, steps: int) -> list[Output]:
    outputs: list[Output] = []
    for step in range(steps):
        if not model.slots.count:
            break
        try:
            _step(model)
        except RuntimeError as error:
            outputs += _after_fault(model, error)
            continue
        if model.releases_each_step or step == steps - 1:
            outputs += _finish_ended(model)
    return outputs


def _after_fault(model: LoadedModel, error: RuntimeError) -> list[Output]:
    """Out of memory halves the rows that run at once; any other error ends the running requests."""
    if is_out_of_memory(error):
        model.counters.out_of_memory += 1
        rows = min(model.block, model.slots.count)
        if rows > 1:
            model.block = (rows + 1) // 2
            log.warning("%s is out of memory with %d rows; %d at once from now on", model.key, rows, model.block)
            return []
    elif model.device.type != "cpu":
        raise error
    requests = model.slots.requests
    log.error("%d requests of %s failed", len(requests), model.key, exc_info=error)
    release(model, *requests)
    return [failed(request, reason_of(error)) for request in requests]


@torch.inference_mode()
def _step(model: LoadedModel) -> None:
    """One token for every running row. A step that fails changes nothing."""
    network, slots = model.network, model.slots
    assert isinstance(network, EncoderDecoder)
    blocks = [slice(first, min(first + model.block, slots.count)) for first in range(0, slots.count, model.block)]
    stepped = [network.step(*slots.view(rows)) for rows in blocks]
    logits = torch.cat([step[0] for step in stepped]) if len(stepped) > 1 else stepped[0][0]
    choice = most_probable(logits) if slots.are_plain else _choose(model, logits)
    for rows, (_, state, _) in zip(blocks, stepped, strict=True):
        slots.advance(rows, state)
    weights = [step[2] for step in stepped]
    if not slots.are_plain:
        record(model, choice, None if weights[0] is None else torch.cat([w for w in weights if w is not None]))
    slots.take(choice, model.decoding.end)
    model.counters.decode_steps += 1
    model.counters.decode_rows += slots.count


def _choose(model: LoadedModel, logits: Tensor) -> Choice:
    slots = model.slots
    longest = slots.history.shape[1]
    if slots.options.constrain and model.releases_each_step:
        longest = max(1, int(slots.steps[: slots.count].max()))
    return choose(
        logits,
        slots.steps[: slots.count],
        slots.history[: slots.count, :longest],
        slots.scores[: slots.count],
        slots.options,
        model.decoding.end,
        how=model.decoding.search,
    )


def _finish_ended(model: LoadedModel) -> list[Output]:
    """Answer and release the requests that ended."""
    slots, until = model.slots, model.decoding.until
    snapshot = slots.snapshot()
    candidates = [] if slots.are_plain else slots.requests
    searches = [request for request in candidates if request.decode.beams > 1 and is_over(request, until)]
    if not searches and not snapshot.ended.any():
        return []
    rows = snapshot.ended.nonzero().flatten()
    ended = dict(zip(rows.tolist(), snapshot.ended[rows].tolist(), strict=True))
    done = dict.fromkeys([slots.owners[row] for row in ended] + searches)
    good = {request: None for request in done if all(ended.get(row) != BAD for row in request.rows)}
    hypotheses = row_hypotheses(slots, list(good), snapshot, "length")
    outputs = [failed(request, NOT_A_NUMBER) for request in done if request not in good]
    for request in good:
        hypothesis = hypotheses.get(request)
        if hypothesis and request.decode.stream and (fresh := progress(request, hypothesis)):
            outputs.append((request, fresh))
        outputs.append((request, decoded(model, request, hypothesis, "length")))
    release(model, *done)
    return outputs


def _progress_of_streams(model: LoadedModel) -> list[Output]:
    slots = model.slots
    streams = list(slots.streams)
    if not streams:
        return []
    hypotheses = row_hypotheses(slots, streams, slots.snapshot(), "length")
    return [(request, fresh) for request in streams if (fresh := progress(request, hypotheses[request]))]
