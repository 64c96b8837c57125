"""Rows of the running batch to hypotheses: from the slots, and of searches from the trace."""

from collections.abc import Sequence

from app.engine.beam_search import takes_unfinished
from app.engine.constraints import LEAST
from app.engine.loaded_model import LoadedModel
from app.engine.protocol import Decode, Decoded, Failed, FinishReason, Hypothesis, Progress
from app.engine.request import End, Request, Trace
from app.engine.slots import STOP, Slots, Snapshot

NOTHING_FOUND = "the search found no answer; use fewer beams, or allow more tokens"


def row_hypotheses(
    slots: Slots, requests: Sequence[Request], snapshot: Snapshot, reason: FinishReason
) -> dict[Request, Hypothesis]:
    """The hypotheses of the requests with one row; `reason` is for those without an end token."""
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
    decode, trace = request.decode, request.trace[: len(log_probs)]
    return Hypothesis(
        tokens[:-1] if reason == "stop" else tokens,
        log_probs,
        _normalised(sum(log_probs), len(log_probs), decode),
        reason,
        [_alternatives(step, 0) for step in trace] if decode.alternatives else [],
        [_weights(step, 0) for step in trace] if decode.attention else [],
    )


def progress(request: Request, hypothesis: Hypothesis) -> Progress | None:
    """The tokens that were not sent yet; None without any. `sent` counts them once all events of a unit are there."""
    first, last = request.sent, len(hypothesis.tokens)
    if first == last:
        return None
    return Progress(
        request.key[1],
        hypothesis.tokens[first:],
        hypothesis.log_probs[first:last],
        hypothesis.alternatives[first:last],
        hypothesis.attention[first:last],
    )


def decoded(
    model: LoadedModel, request: Request, hypothesis: Hypothesis | None, reason: FinishReason
) -> Decoded | Failed:
    """The last event of a request: the `hypothesis` of its one row, or the n-best of its search; `reason` is for
    those without an end token."""
    if hypothesis is not None:
        return Decoded(request.key[1], [hypothesis])
    decoding = model.decoding
    hypotheses = [_traced(request, end.step, end.beam, end.score, end) for end in request.ends]
    if takes_unfinished(request, decoding.search, decoding.until):
        alive = [(score, beam) for beam, score in enumerate(request.scores) if score > float("-inf")]
        unfinished = (_traced(request, len(request.trace), beam, score, None, reason) for score, beam in alive)
        hypotheses += [found for found in unfinished if decoding.end not in found.tokens]
    if not hypotheses:
        return Failed(request.key[1], NOTHING_FOUND)
    hypotheses.sort(key=lambda found: -found.score)
    return Decoded(request.key[1], hypotheses[: request.decode.n_best])


def _traced(
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
        [_alternatives(*place) for place in path] if decode.alternatives else [],
        [_weights(*place) for place in path] if decode.attention else [],
    )


def _normalised(total: float, tokens: int, decode: Decode) -> float:
    """Score after the length penalty (Wu et al. 2016, section 7, equation 14); `tokens` counts the end."""
    return total / ((5 + tokens) / 6) ** decode.length_penalty if decode.length_penalty else total


def _alternatives(trace: Trace, beam: int) -> list[tuple[int, float]]:
    assert trace.alternatives is not None
    ids, log_probs = (column[beam].tolist() for column in trace.alternatives)
    return [(token, value) for token, value in zip(ids, log_probs, strict=True) if value > float("-inf")]


def _weights(trace: Trace, beam: int) -> list[float]:
    weights: list[float] = [] if trace.attention is None else trace.attention[beam].tolist()
    return weights
