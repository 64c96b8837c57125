"""Decoding: one unit of steps for all running rows of a model, and the answers of the requests that end in it.

The policy of the device decides when the host looks at the rows: after each step on a CPU, after the unit on a GPU.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

from app.engine.beam_search import has_nan, is_settled
from app.engine.carried_state import keep_decoded
from app.engine.faults import NOT_FINITE, failed, failed_alone, failed_among_others, in_halves, is_out_of_memory
from app.engine.forecast import forecasted
from app.engine.hypotheses import decoded, progress, row_hypotheses
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Event, Hypothesis, Progress
from app.engine.request import Output, Request
from app.engine.sampling import Choice, choose, most_probable
from app.engine.sampling_options import SamplingOptions, options_of
from app.engine.slots import BAD, RUNNING, Slots, Snapshot
from app.engine.trace import StepResult, step_result, traced
from app.engine.transfers import to_device, to_host
from app.models.networks import TokenNetwork
from app.models.serving.unit import DecoderUnit
from app.models.state import State


def decode(model: LoadedModel, steps: int) -> list[Output]:
    """Up to `steps` tokens for every running row: the answers of requests that ended, and the progress of streams. An
    error ends the request that causes it."""
    outputs: list[Output] = []
    try:
        with model.number_types():
            if model.policy.looks_each_step:
                _look_each_step(model, model.bounded(steps), outputs)
            else:
                _look_once(model, model.bounded(steps), outputs)
        for slots in model.groups:
            outputs += in_halves(list(slots.streams), partial(_progress, slots), failed_alone, model.count_error)
    except Exception as error:  # between steps, where no request is the cause
        model.count_error(error)
        ended = {request for request, event in outputs if not isinstance(event, Progress)}
        running = [request for slots in model.groups for request in slots.requests]
        outputs += _fail(model, [request for request in running if request not in ended], error)
    for request, event in outputs:
        if isinstance(event, Progress):
            request.sent += len(event.tokens)
        else:
            release(model, request)  # of one that failed after its last step
    model.count_unit()
    return outputs


def answer_at_deadline(model: LoadedModel, request: Request) -> Event | None:
    """End a request with the tokens or the rows of a forecast that it has; None if it has none yet."""
    answer: Event | None = None
    try:
        if request.made:
            answer = forecasted(request)
        elif request.rows:
            slots = model.group_of(request)
            hypothesis = row_hypotheses(slots, [request], slots.snapshot(), "deadline").get(request)
            _keep_row(model, slots, request, hypothesis)
            answer = decoded(model, request, hypothesis, "deadline")
    except Exception as error:
        model.count_error(error)
        _, answer = failed_alone(request, error)
    release(model, request)
    return answer


def release(model: LoadedModel, *requests: Request) -> None:
    """Free the rows of requests, if they have any, and drop what is computed in pieces."""
    for request in requests:
        model.stop_pieces(request)
    with torch.inference_mode():
        model.forecasts.leave(requests)
    for slots in model.groups:
        if running := [request for request in requests if request in slots]:
            with torch.inference_mode():
                slots.release(running)


def _look_each_step(model: LoadedModel, steps: int, outputs: list[Output]) -> None:
    for slots in model.groups:
        if model.unit is not None and slots is model.slots:
            _run_unit(model, model.unit, steps, outputs)
            continue
        for _ in range(steps):
            if not slots.count:
                break
            try:
                _step(model, slots)
            except Exception as error:
                outputs += _after_fault(model, slots, error)
                continue
            _finish_ended(model, slots, outputs)


def _run_unit(model: LoadedModel, unit: DecoderUnit, steps: int, outputs: list[Output]) -> None:
    """All steps of the rows that need nothing else, in one call."""
    slots = model.slots
    if not slots.count:
        return
    try:
        made_steps, made_rows = unit.run(slots.running, steps=steps, block=model.block, end=model.decoding.end)
    except Exception as error:
        outputs += _after_fault(model, slots, error)
        return
    model.counters.decode_steps += made_steps
    model.counters.decode_rows += made_rows
    _finish_ended(model, slots, outputs)


def _look_once(model: LoadedModel, steps: int, outputs: list[Output]) -> None:
    """Queue the steps of all rows, then wait for them and copy what they chose to the host, at once. A fault leaves the
    steps before it."""
    queued: list[tuple[Slots, list[StepResult], Tensor]] = []
    faults: list[tuple[Slots, Exception]] = []
    for slots in model.groups:
        results: list[StepResult] = []
        try:
            if slots.count:
                results.extend(_queued_steps(model, slots, steps))
        except Exception as error:
            faults.append((slots, error))
            if slots.is_torn:
                continue
        queued.append((slots, results, slots.progress[:, : slots.count]))
    for slots, results, progress_of_rows in to_host(queued):
        slots.look(progress_of_rows, [step.tokens for step in results], [step.log_probs for step in results])
        for step in results:
            for record in traced(_with_rows(slots), step, model.decoding.until):
                record.store()
        _finish_ended(model, slots, outputs)
    for slots, fault in faults:
        outputs += _after_fault(model, slots, fault)


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


def _after_fault(model: LoadedModel, slots: Slots, error: Exception) -> list[Output]:
    """Out of memory halves the rows that run at once. If that is no way, the requests fail whose next step fails also
    without the others; if there is none, the one that arrived last. A step that was stored in part ends all."""
    model.count_error(error)
    requests = slots.requests
    if slots.is_torn:
        return _fail(model, requests, error)
    if is_out_of_memory(error) and model.shrink_block(slots.count):
        return []
    outputs = in_halves(requests, partial(_rehearse, model, slots), failed_alone, model.count_error)
    release(model, *(request for request, _ in outputs))
    return outputs or _fail(model, requests[-1:], error)


def _fail(model: LoadedModel, requests: Sequence[Request], error: Exception) -> list[Output]:
    release(model, *requests)
    return [failed_among_others(request, error) for request in requests]


@torch.inference_mode()
def _rehearse(model: LoadedModel, slots: Slots, requests: Sequence[Request]) -> list[Output]:
    """Compute the next step of some requests alone, and drop it."""
    network = model.network
    assert isinstance(network, TokenNetwork)
    rows = to_device(torch.tensor([row for request in requests for row in request.rows]), model.device)
    previous, state = slots.view(slice(None))
    of_rows = {name: storage[rows] for name, storage in cast(dict[str, Tensor], state).items()}
    logits, _, weights = network.step(previous[rows], cast(State, of_rows))
    places = iter(range(len(rows)))
    with_rows = [(request, [next(places) for _ in request.rows]) for request in requests]
    options = options_of([(request.decode, mine) for request, mine in with_rows], model.device)
    choice = _choose(model, slots, logits, rows, options, 0)
    traced(with_rows, to_host(step_result(options, choice, weights)), model.decoding.until)
    return []


@torch.inference_mode()
def _step(model: LoadedModel, slots: Slots, ahead: int = 0) -> StepResult:
    """One token for every running row, `ahead` steps after the last look. It is computed first and stored afterwards:
    what fails changes nothing."""
    network = model.network
    assert isinstance(network, TokenNetwork)
    blocks = [slice(first, min(first + model.block, slots.count)) for first in range(0, slots.count, model.block)]
    stepped = [network.step(*slots.view(rows)) for rows in blocks]
    logits = torch.cat([step[0] for step in stepped]) if len(stepped) > 1 else stepped[0][0]
    choice = _choose(model, slots, logits, slice(slots.count), slots.options, ahead)
    weights = [step[2] for step in stepped if step[2] is not None] if slots.options.attention is not None else []
    result = step_result(slots.options, choice, torch.cat(weights) if weights else None)
    looks = model.policy.looks_each_step and not slots.are_plain
    records = traced(_with_rows(slots), result, model.decoding.until) if looks else []
    with slots.storing():
        for rows, (_, state, _) in zip(blocks, stepped, strict=True):
            slots.advance(rows, state)
        slots.take(choice, model.decoding.end)
        for record in records:
            record.store()
    model.counters.decode_steps += 1
    model.counters.decode_rows += slots.count
    return result


def _with_rows(slots: Slots) -> list[tuple[Request, list[int]]]:
    return [] if slots.are_plain else [(request, request.rows) for request in slots.requests]


def _choose(
    model: LoadedModel, slots: Slots, logits: Tensor, rows: slice | Tensor, options: SamplingOptions, ahead: int
) -> Choice:
    """The next tokens of some rows, `ahead` steps after the last look."""
    if slots.are_plain:
        return most_probable(logits)
    longest = slots.longest_answer(ahead) if options.constrain else slots.history.shape[1]
    return choose(
        logits,
        slots.steps[rows],
        slots.history[rows, :longest],
        slots.scores[rows],
        options,
        model.decoding.end,
        how=model.decoding.search,
    )


def _finish_ended(model: LoadedModel, slots: Slots, outputs: list[Output]) -> None:
    """Answer and release the requests that ended."""
    snapshot, until = slots.snapshot(), model.decoding.until
    candidates = [] if slots.are_plain else slots.requests
    searches = [request for request in candidates if request.decode.beams > 1 and is_settled(request, until)]
    ended = [slots.owners[row] for row, how in enumerate(snapshot.ended.tolist()) if how != RUNNING]
    done = [request for request in ended if request.decode.beams == 1] + searches
    if not done:
        return
    outputs += in_halves(done, partial(_answers, model, slots, snapshot), failed_alone, model.count_error)
    release(model, *done)


def _answers(model: LoadedModel, slots: Slots, snapshot: Snapshot, requests: Sequence[Request]) -> list[Output]:
    """The last events of requests, and before the last one of a stream its last tokens."""
    good = [request for request in requests if not _is_bad(request, snapshot)]
    hypotheses = row_hypotheses(slots, good, snapshot, "length")
    outputs = [failed(request, NOT_FINITE) for request in requests if _is_bad(request, snapshot)]
    for request in good:
        hypothesis = hypotheses.get(request)
        if hypothesis and request.decode.stream and (fresh := progress(request, hypothesis)):
            outputs.append((request, fresh))
        _keep_row(model, slots, request, hypothesis)
        outputs.append((request, decoded(model, request, hypothesis, "length")))
    return outputs


def _keep_row(model: LoadedModel, slots: Slots, request: Request, hypothesis: Hypothesis | None) -> None:
    """Keep the state of a row, if it is that after its tokens: on a GPU it has made further steps."""
    if hypothesis is not None and model.policy.looks_each_step:
        keep_decoded(request, slots.state, len(hypothesis.tokens))


def _is_bad(request: Request, snapshot: Snapshot) -> bool:
    return has_nan(request) if request.decode.beams > 1 else int(snapshot.ended[request.rows[0]]) == BAD


def _progress(slots: Slots, streams: Sequence[Request]) -> list[Output]:
    hypotheses = row_hypotheses(slots, streams, slots.snapshot(), "length")
    return [(request, fresh) for request in streams if (fresh := progress(request, hypotheses[request]))]
