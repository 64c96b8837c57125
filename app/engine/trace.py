"""The trace of requests that search or answer with more than tokens: what each step chose, and from which rows."""

import torch
from torch import Tensor

from app.engine.loaded_model import LoadedModel
from app.engine.request import End, Request, Trace
from app.engine.sampling import Choice


def record(model: LoadedModel, choice: Choice, weights: Tensor | None) -> None:
    """Record the step for requests that search or answer with more than tokens; weights (rows, source)."""
    traced = [
        request
        for request in model.slots.requests
        if request.decode.beams > 1 or request.decode.alternatives or request.decode.attention
    ]
    if not traced:
        return
    ends = {end.scores.shape[1]: tuple(column.tolist() for column in end) for end in choice.ends}
    searches: dict[int, int] = {}  # by width, the number of searches so far: their place in `ends`
    tokens, log_probs = choice.tokens.tolist(), choice.log_probs.tolist()
    parents = list(range(len(tokens))) if choice.parents is None else choice.parents.tolist()
    for request in traced:
        beams = {row: beam for beam, row in enumerate(request.rows)}
        request.trace.append(
            Trace(
                [beams[parents[row]] for row in request.rows],
                [tokens[row] for row in request.rows],
                [log_probs[row] for row in request.rows],
                *_extras(model, request, choice, weights),
            )
        )
        width = request.decode.beams
        if width > 1:
            place = searches[width] = searches.get(width, -1) + 1
            _record_ends(request, *(column[place] for column in ends[width]))


def _extras(
    model: LoadedModel, request: Request, choice: Choice, weights: Tensor | None
) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
    """Alternatives and attention weights of a request's rows, where it has them."""
    options = request.decode
    if not (options.alternatives or options.attention):
        return None, None
    rows = torch.tensor(request.rows, device=model.device)
    best = choice.table[rows].topk(options.alternatives) if options.alternatives and choice.table is not None else None
    attention = weights[rows, : request.memory] if options.attention and weights is not None else None
    return None if best is None else (best.indices, best.values), attention


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
