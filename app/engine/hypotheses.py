"""Rows of the running batch to hypotheses: from the slots, and of searches from the trace."""

from collections.abc import Sequence
from typing import cast

import msgspec
import torch
from torch import Tensor

from app.engine.beam_search import takes_unfinished
from app.engine.constraints import LEAST
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Alternatives, Decode, Decoded, Failed, FinishReason, Hypothesis, Progress, Table
from app.engine.request import End, Request, StepTable, Trace
from app.engine.slots import STOP, Slots, Snapshot

NOTHING_FOUND = "the search found no answer; use fewer beams, or allow more tokens"


def row_hypotheses(
    slots: Slots, requests: Sequence[Request], snapshot: Snapshot, reason: FinishReason
) -> dict[Request, Hypothesis]:
    """The hypotheses of the requests with one row, without details; `reason` is for those without an end token."""
    single = [request for request in requests if request.decode.beams == 1]
    rows = slots.read([request.rows[0] for request in single], snapshot)
    return {
        request: _row_hypothesis(
            request, tokens, log_probs, "stop" if snapshot.ended[request.rows[0]] == STOP else reason
        )
        for request, (tokens, log_probs) in zip(single, rows, strict=True)
    }


def _row_hypothesis(request: Request, tokens: list[int], log_probs: list[float], reason: FinishReason) -> Hypothesis:
    """The end token counts in `log_probs` and is not among the tokens."""
    score = _normalised(sum(log_probs), len(log_probs), request.decode)
    return Hypothesis(tokens[:-1] if reason == "stop" else tokens, log_probs, score, reason)


def progress(request: Request, hypothesis: Hypothesis) -> Progress | None:
    """The tokens that were not sent yet; None without any. `sent` counts them once all events of a unit are there."""
    first, last = request.sent, len(hypothesis.tokens)
    if first == last:
        return None
    return Progress(
        request.key[1],
        hypothesis.tokens[first:],
        hypothesis.log_probs[first:last],
        *_details(request, [(step, 0) for step in request.trace[first:last]]),
    )


def decoded(
    model: LoadedModel, request: Request, hypothesis: Hypothesis | None, reason: FinishReason
) -> Decoded | Failed:
    """The last event of a request: the `hypothesis` of its one row, or the n-best of its search; `reason` is for
    those without an end token."""
    if hypothesis is not None:
        path = [(step, 0) for step in request.trace[: len(hypothesis.log_probs)]]
        alternatives, attention = _details(request, path)
        return Decoded(
            request.key[1], [msgspec.structs.replace(hypothesis, alternatives=alternatives, attention=attention)]
        )
    decoding = model.decoding
    ends = sorted(request.ends, key=lambda end: -_normalised(end.score, end.step + 1, request.decode))
    hypotheses = [_followed_back(request, end.step, end.beam, end.score, end) for end in ends[: request.decode.n_best]]
    if takes_unfinished(request, decoding.search, decoding.until):
        alive = [(score, beam) for beam, score in enumerate(request.scores) if score > float("-inf")]
        unfinished = (_followed_back(request, len(request.trace), beam, score, None, reason) for score, beam in alive)
        hypotheses += [found for found in unfinished if decoding.end not in found.tokens]
    if not hypotheses:
        return Failed(request.key[1], NOTHING_FOUND)
    hypotheses.sort(key=lambda found: -found.score)
    return Decoded(request.key[1], hypotheses[: request.decode.n_best])


def _followed_back(
    request: Request, step: int, beam: int, score: float, end: End | None, reason: FinishReason = "stop"
) -> Hypothesis:
    """A hypothesis of a search, followed back from beam `beam` before step `step`."""
    decode = request.decode
    tokens: list[int] = []
    log_probs = [] if end is None else [max(end.log_prob, LEAST)]
    path = [] if end is None else [(request.trace[step], beam)]
    for trace in reversed(request.trace[:step]):
        tokens.append(trace.tokens[beam])
        log_probs.append(trace.log_probs[beam])
        beam = trace.parents[beam]
        path.append((trace, beam))
    path.reverse()
    return Hypothesis(
        tokens[::-1],
        log_probs[::-1],
        _normalised(score, len(log_probs), decode),
        "stop" if end is not None else reason,
        *_details(request, path),
    )


def _normalised(total: float, tokens: int, decode: Decode) -> float:
    """Score after the length penalty (Wu et al. 2016, section 7, equation 14); `tokens` counts the end."""
    length = 5 + tokens + decode.penalty_tokens
    return total / (length / 6) ** decode.length_penalty if decode.length_penalty else total


def _details(request: Request, path: Sequence[tuple[Trace, int]]) -> tuple[Alternatives | None, Table | None]:
    """The alternatives and the attention of the steps of a path, each with its beam, if the request has them."""
    decode = request.decode
    alternatives = attention = None
    if decode.alternatives and path:
        ids, log_probs = zip(*(step.alternatives for step, _ in path if step.alternatives is not None), strict=True)
        beams = [beam for _, beam in path]
        alternatives = Alternatives(_table(ids, beams, torch.int32), _table(log_probs, beams, torch.float32))
    weights = [step.attention for step, _ in path if step.attention is not None]
    if weights:  # none without attention in the model
        attention = _table(weights, [beam for _, beam in path], torch.float32)
    return alternatives, attention


def _table(steps: Sequence[StepTable], beams: Sequence[int], dtype: torch.dtype) -> Table:
    """A row for each step: that of its beam."""
    rows = torch.stack([cast(Tensor, step[beam]) for step, beam in zip(steps, beams, strict=True)]).to(dtype)
    return Table(rows.shape[1], rows.numpy().tobytes())
