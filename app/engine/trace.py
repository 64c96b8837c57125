"""The trace of requests that search or answer with more than tokens: what each step chose, and from which rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.engine.request import End, Request, Trace
from app.engine.sampling import Choice


@dataclass(frozen=True, slots=True)
class Traced:
    """A step of a request, the hypotheses that ended in it, and the ranks of their continuations."""

    request: Request
    trace: Trace
    ends: list[End]
    end_ranks: set[int]

    def store(self) -> None:
        """Append the step to the trace of its request."""
        self.request.trace.append(self.trace)
        self.request.ends += self.ends
        self.request.end_ranks |= self.end_ranks


def traced(requests: Sequence[tuple[Request, list[int]]], choice: Choice, weights: Tensor | None) -> list[Traced]:
    """The step of the requests that search or answer with more than tokens, each with its rows of the choice and of
    the attention weights (rows, source)."""
    candidates = [
        (request, rows)
        for request, rows in requests
        if request.decode.beams > 1 or request.decode.alternatives or request.decode.attention
    ]
    if not candidates:
        return []
    ends = {end.scores.shape[1]: tuple(column.tolist() for column in end) for end in choice.ends}
    searches: dict[int, int] = {}  # by width, the number of searches so far: their place in `ends`
    tokens, log_probs = choice.tokens.tolist(), choice.log_probs.tolist()
    parents = list(range(len(tokens))) if choice.parents is None else choice.parents.tolist()
    found = []
    for request, rows in candidates:
        beams = {row: beam for beam, row in enumerate(rows)}
        trace = Trace(
            [beams[parents[row]] for row in rows],
            [tokens[row] for row in rows],
            [log_probs[row] for row in rows],
            *_extras(request, rows, choice, weights),
        )
        width = request.decode.beams
        if width == 1:
            found.append(Traced(request, trace, [], set()))
            continue
        place = searches[width] = searches.get(width, -1) + 1
        scores, end_beams, end_log_probs, closed = (column[place] for column in ends[width])
        step = len(request.trace)
        ended = [
            End(step, beam, score, log_prob)
            for score, beam, log_prob in zip(scores, end_beams, end_log_probs, strict=True)
            if score > float("-inf")
        ]
        found.append(Traced(request, trace, ended, {rank for rank, is_end in enumerate(closed) if is_end}))
    return found


def _extras(
    request: Request, rows: list[int], choice: Choice, weights: Tensor | None
) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
    """Alternatives and attention weights of a request's rows, where it has them."""
    options = request.decode
    if not (options.alternatives or options.attention):
        return None, None
    index = torch.tensor(rows, device=choice.tokens.device)
    best = None
    if options.alternatives and choice.table is not None:
        best = choice.table[index].topk(min(options.alternatives, choice.table.shape[1]))
    attention = weights[index, : request.memory] if options.attention and weights is not None else None
    return None if best is None else (best.indices, best.values), attention
