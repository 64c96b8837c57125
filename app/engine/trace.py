"""The trace of requests that search or answer with more than tokens: what each step chose, and from which rows.

The results of a step stay on the device, on a GPU until the unit is over.
"""

from collections import Counter
from typing import NamedTuple

from torch import Tensor

from app.engine.beam_search import is_settled
from app.engine.request import End, Request, Trace
from app.engine.sampling import Choice, Ends
from app.engine.slots import Slots
from app.store.manifest import Until


class StepResult(NamedTuple):
    """The results of a step that the host needs. `alternatives`, ids and log-probabilities, and `attention` weights are
    those of the rows that want them, in their order in `SamplingOptions`."""

    tokens: Tensor
    log_probs: Tensor
    parents: Tensor | None = None
    scores: Tensor | None = None
    ends: tuple[Ends, ...] = ()
    alternatives: tuple[Tensor, Tensor] | None = None
    attention: Tensor | None = None


def step_result(slots: Slots, choice: Choice, weights: Tensor | None) -> StepResult:
    """The results of a step; weights (rows, source)."""
    options, alternatives = slots.options, None
    if options.alternatives is not None and choice.table is not None:
        most = min(options.most_alternatives, choice.table.shape[1])
        best = choice.table[options.alternatives].topk(most)
        alternatives = best.indices, best.values
    attention = weights[options.attention] if options.attention is not None and weights is not None else None
    return StepResult(
        choice.tokens, choice.log_probs, choice.parents, choice.scores, choice.ends, alternatives, attention
    )


def record(slots: Slots, result: StepResult, until: Until) -> None:
    """Record a step, which lies on the host, for the requests that search or answer with more than tokens. Those whose
    search is settled ignore it. Alternatives and weights are copied, so that no request keeps those of others."""
    if slots.are_plain or not any(_is_traced(request) for request in slots.requests):
        return
    ends = {end.scores.shape[1]: tuple(column.tolist() for column in end) for end in result.ends}
    tokens, log_probs = result.tokens.tolist(), result.log_probs.tolist()
    parents = list(range(len(tokens))) if result.parents is None else result.parents.tolist()
    scores = [] if result.scores is None else result.scores.tolist()
    searches: Counter[int] = Counter()  # by width, those so far: the place of the next one in `ends`
    alternatives = attention = 0  # rows with them so far
    for request in slots.requests:
        options, rows, best, weights = request.decode, request.rows, None, None
        if options.alternatives and result.alternatives is not None:
            mine = slice(alternatives, alternatives := alternatives + len(rows))
            ids, values = (column[mine, : options.alternatives].clone() for column in result.alternatives)
            best = ids, values
        if options.attention and result.attention is not None:
            mine = slice(attention, attention := attention + len(rows))
            weights = result.attention[mine, : request.memory].clone()
        place = searches[options.beams]
        searches[options.beams] += 1
        if not _is_traced(request) or (options.beams > 1 and is_settled(request, until)):
            continue
        beams = {row: beam for beam, row in enumerate(rows)}
        request.trace.append(
            Trace(
                [beams[parents[row]] for row in rows],
                [tokens[row] for row in rows],
                [log_probs[row] for row in rows],
                best,
                weights,
            )
        )
        if options.beams > 1:
            request.scores = [scores[row] for row in rows]
            _record_ends(request, *(column[place] for column in ends[options.beams]))


def _is_traced(request: Request) -> bool:
    options = request.decode
    return options.beams > 1 or options.alternatives > 0 or options.attention


def _record_ends(
    request: Request, scores: list[float], beams: list[int], log_probs: list[float], closed: list[bool]
) -> None:
    """Record the hypotheses of a search that ended in the step just traced, see `sampling.Ends`."""
    step = len(request.trace) - 1
    request.ends += [
        End(step, beam, score, log_prob)
        for score, beam, log_prob in zip(scores, beams, log_probs, strict=True)
        if score > float("-inf")
    ]
    request.end_ranks |= {rank for rank, is_end in enumerate(closed) if is_end}
