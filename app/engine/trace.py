"""The trace of requests that search or answer with more than tokens: what each step chose, and from which rows.

The results of a step stay on the device, on a GPU until the unit is over.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from app.engine.beam_search import is_settled
from app.engine.constraints import LEAST
from app.engine.request import End, Request, Trace
from app.engine.sampling import Choice, Ends
from app.engine.sampling_options import SamplingOptions
from app.store.decoding import Until


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


def step_result(options: SamplingOptions, choice: Choice, weights: Tensor | None) -> StepResult:
    """The results of a step; weights (rows, source)."""
    alternatives = None
    if options.alternatives is not None and choice.table is not None:
        most = min(options.most_alternatives, choice.table.shape[1])
        best = choice.table[options.alternatives].topk(most)
        alternatives = best.indices, _at_least(best.values)
    attention = weights[options.attention] if options.attention is not None and weights is not None else None
    return StepResult(
        choice.tokens, choice.log_probs, choice.parents, choice.scores, choice.ends, alternatives, attention
    )


@dataclass(frozen=True, slots=True)
class Traced:
    """A step of a request; of a search also the scores after it, the hypotheses that ended in it, and the ranks of
    their continuations."""

    request: Request
    trace: Trace
    scores: list[float]
    ends: list[End]
    end_ranks: set[int]

    def store(self) -> None:
        """Append the step to the trace of its request."""
        self.request.trace.append(self.trace)
        self.request.scores = self.scores
        self.request.ends += self.ends
        self.request.end_ranks |= self.end_ranks


def traced(requests: Sequence[tuple[Request, list[int]]], result: StepResult, until: Until) -> list[Traced]:
    """The step, which lies on the host, of the requests that search or answer with more than tokens, each with its
    rows. Those whose search is settled have none. Alternatives and weights are copied, so that no request keeps those
    of others."""
    if not any(_is_traced(request) for request, _ in requests):
        return []
    ends = {end.scores.shape[1]: tuple(column.tolist() for column in end) for end in result.ends}
    tokens, log_probs = result.tokens.tolist(), result.log_probs.tolist()
    parents = list(range(len(tokens))) if result.parents is None else result.parents.tolist()
    all_scores = [] if result.scores is None else result.scores.tolist()
    found = []
    for (request, rows), place, details in zip(requests, _places(requests), _details(requests, result), strict=True):
        width = request.decode.beams
        if not _is_traced(request) or (width > 1 and is_settled(request, until)):
            continue
        beams = {row: beam for beam, row in enumerate(rows)}
        step = Trace(
            [beams[parents[row]] for row in rows],
            [tokens[row] for row in rows],
            [log_probs[row] for row in rows],
            *details,
        )
        if width == 1:
            found.append(Traced(request, step, request.scores, [], set()))
        else:
            scores = [all_scores[row] for row in rows]
            found.append(_traced_search(request, step, scores, *(column[place] for column in ends[width])))
    return found


def _places(requests: Sequence[tuple[Request, list[int]]]) -> Iterator[int]:
    """The place of each search among those of its width."""
    so_far: Counter[int] = Counter()
    for request, _ in requests:
        yield so_far[request.decode.beams]
        so_far[request.decode.beams] += 1


def _details(
    requests: Sequence[tuple[Request, list[int]]], result: StepResult
) -> Iterator[tuple[tuple[Tensor, Tensor] | None, Tensor | None]]:
    """The alternatives and the weights of each request, if it wants them, copied from those of all."""
    alternatives = attention = 0  # rows so far
    for request, rows in requests:
        options, best, weights = request.decode, None, None
        if options.alternatives and result.alternatives is not None:
            mine = slice(alternatives, alternatives := alternatives + len(rows))
            ids, values = (column[mine, : options.alternatives].clone() for column in result.alternatives)
            best = ids, values
        if options.attention and result.attention is not None:
            mine = slice(attention, attention := attention + len(rows))
            weights = result.attention[mine, : request.memory].clone()
        yield best, weights


def _traced_search(
    request: Request,
    step: Trace,
    scores: list[float],
    end_scores: list[float],
    end_beams: list[int],
    end_log_probs: list[float],
    closed: list[bool],
) -> Traced:
    """The step of a search; `closed` says of the ranks of its best continuations whether each is an end."""
    ends = [
        End(len(request.trace), beam, score, log_prob)
        for score, beam, log_prob in zip(end_scores, end_beams, end_log_probs, strict=True)
        if score > float("-inf")
    ]
    return Traced(request, step, scores, ends, {rank for rank, is_end in enumerate(closed) if is_end})


def _is_traced(request: Request) -> bool:
    options = request.decode
    return options.beams > 1 or options.alternatives > 0 or options.attention


def _at_least(log_probs: Tensor) -> Tensor:
    """Log-probabilities no lower than those of chosen tokens; -inf stays."""
    return torch.where(log_probs.isneginf(), log_probs, log_probs.clamp(min=LEAST))
