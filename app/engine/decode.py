"""Decoding: one unit of steps for all running rows of a model, and the answers of the requests that end in it.

The policy of the device decides when the host looks at the rows: after each step on a CPU, after the unit on a GPU.
"""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor

from app.engine.beam_search import has_nan, is_settled
from app.engine.faults import NOT_A_NUMBER, failed, is_out_of_memory, reason_of
from app.engine.hypotheses import decoded, progress, row_hypotheses
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Decoded
from app.engine.request import Output, Request
from app.engine.sampling import Choice, choose, most_probable
from app.engine.slots import BAD, Slots
from app.engine.trace import StepResult, record, step_result
from app.engine.transfers import to_host
from app.models.networks import EncoderDecoder

log = logging.getLogger("unroll.engine")


def decode(model: LoadedModel, steps: int) -> list[Output]:
    """Up to `steps` tokens for every running row: the answers of requests that ended, and the progress of streams."""
    model.select_number_types()
    outputs = _look_each_step(model, steps) if model.policy.looks_each_step else _look_once(model, steps)
    model.counters.units += 1
    return outputs + [output for slots in model.groups for output in _progress_of_streams(slots)]


def answer_at_deadline(model: LoadedModel, request: Request) -> Decoded | None:
    """End a request with the tokens that it has; None if it does not decode yet."""
    answer = None
    if request.rows:
        slots = model.group_of(request)
        hypotheses = row_hypotheses(slots, [request], slots.snapshot(), "deadline")
        answer = decoded(model, request, hypotheses.get(request), "deadline")
    release(model, request)
    return answer


def release(model: LoadedModel, *requests: Request) -> None:
    """Free the rows of requests, if they have any, and drop their explanations."""
    for request in requests:
        model.explaining.pop(request, None)
    for slots in model.groups:
        if running := [request for request in requests if request in slots]:
            with torch.inference_mode():
                slots.release(running)


def _look_each_step(model: LoadedModel, steps: int) -> list[Output]:
    outputs: list[Output] = []
    slots = model.slots
    for _ in range(steps):
        if not slots.count:
            break
        try:
            result = _step(model, slots)
        except RuntimeError as error:
            outputs += _after_fault(model, slots, error)
            continue
        record(slots, result, model.decoding.until)
        outputs += _finish_ended(model, slots)
    return outputs


def _look_once(model: LoadedModel, steps: int) -> list[Output]:
    """Queue the steps of all rows, then wait for them and copy what they chose to the host, at once."""
    outputs: list[Output] = []
    queued: list[tuple[Slots, list[StepResult], Tensor]] = []
    for slots in model.groups:
        results: list[StepResult] = []
        try:
            if slots.count:
                results.extend(_queued_steps(model, slots, steps))  # a fault leaves the steps before it
        except RuntimeError as error:
            outputs += _after_fault(model, slots, error)
        if slots.count:
            queued.append((slots, results, slots.progress[:, : slots.count]))
    for slots, results, progress_of_rows in to_host(queued):
        slots.look(progress_of_rows, [step.tokens for step in results], [step.log_probs for step in results])
        for step in results:
            record(slots, step, model.decoding.until)
        outputs += _finish_ended(model, slots)
    return outputs


@torch.inference_mode()
def _queued_steps(model: LoadedModel, slots: Slots, steps: int) -> Iterator[StepResult]:
    """The steps of a unit: of a CUDA graph if there is one for them, or one after the other."""
    graph = None if model.units is None or slots is not model.slots else model.units.graph(steps, model.block)
    if graph is None:
        for ahead in range(steps):
            yield _step(model, slots, ahead)
        return
    for tokens, log_probs in zip(*graph(), strict=True):
        yield StepResult(tokens, log_probs)
    model.counters.decode_steps += steps
    model.counters.decode_rows += steps * slots.count


def _after_fault(model: LoadedModel, slots: Slots, error: RuntimeError) -> list[Output]:
    """Out of memory halves the rows that run at once; any other error ends the running requests."""
    if is_out_of_memory(error):
        model.counters.out_of_memory += 1
        rows = min(model.block, slots.count)
        if rows > 1:
            model.block = (rows + 1) // 2
            log.warning("%s is out of memory with %d rows; %d at once from now on", model.key, rows, model.block)
            return []
    elif model.device.type != "cpu":
        raise error
    requests = slots.requests
    log.error("%d requests of %s failed", len(requests), model.key, exc_info=error)
    release(model, *requests)
    return [failed(request, reason_of(error)) for request in requests]


@torch.inference_mode()
def _step(model: LoadedModel, slots: Slots, ahead: int = 0) -> StepResult:
    """One token for every running row, `ahead` steps after the last look. A step that fails changes nothing."""
    network = model.network
    assert isinstance(network, EncoderDecoder)
    blocks = [slice(first, min(first + model.block, slots.count)) for first in range(0, slots.count, model.block)]
    stepped = [network.step(*slots.view(rows)) for rows in blocks]
    logits = torch.cat([step[0] for step in stepped]) if len(stepped) > 1 else stepped[0][0]
    choice = most_probable(logits) if slots.are_plain else _choose(model, slots, logits, ahead)
    weights = [step[2] for step in stepped if step[2] is not None] if slots.options.attention is not None else []
    result = step_result(slots, choice, torch.cat(weights) if weights else None)
    for rows, (_, state, _) in zip(blocks, stepped, strict=True):
        slots.advance(rows, state)
    slots.take(choice, model.decoding.end)
    model.counters.decode_steps += 1
    model.counters.decode_rows += slots.count
    return result


def _choose(model: LoadedModel, slots: Slots, logits: Tensor, ahead: int) -> Choice:
    longest = slots.longest_answer(ahead) if slots.options.constrain else slots.history.shape[1]
    return choose(
        logits,
        slots.steps[: slots.count],
        slots.history[: slots.count, :longest],
        slots.scores[: slots.count],
        slots.options,
        model.decoding.end,
        how=model.decoding.search,
    )


def _finish_ended(model: LoadedModel, slots: Slots) -> list[Output]:
    """Answer and release the requests that ended."""
    snapshot, until = slots.snapshot(), model.decoding.until
    candidates = [] if slots.are_plain else slots.requests
    searches = [request for request in candidates if request.decode.beams > 1 and is_settled(request, until)]
    if not searches and not snapshot.ended.any():
        return []
    rows = snapshot.ended.nonzero().flatten()
    ended = {
        owner: value
        for row, value in zip(rows.tolist(), snapshot.ended[rows].tolist(), strict=True)
        if (owner := slots.owners[row]).decode.beams == 1
    }
    bad = {request for request in searches if has_nan(request)} | {one for one, end in ended.items() if end == BAD}
    done = [*ended, *searches]
    good = [request for request in done if request not in bad]
    hypotheses = row_hypotheses(slots, good, snapshot, "length")
    outputs = [failed(request, NOT_A_NUMBER) for request in done if request in bad]
    for request in good:
        hypothesis = hypotheses.get(request)
        if hypothesis and request.decode.stream and (fresh := progress(request, hypothesis)):
            outputs.append((request, fresh))
        outputs.append((request, decoded(model, request, hypothesis, "length")))
    release(model, *done)
    return outputs


def _progress_of_streams(slots: Slots) -> list[Output]:
    streams = list(slots.streams)
    if not streams:
        return []
    hypotheses = row_hypotheses(slots, streams, slots.snapshot(), "length")
    return [(request, fresh) for request in streams if (fresh := progress(request, hypotheses[request]))]
