"""Self-critical training: a decoder samples answers, and learns those that score above the others of their source.

Rennie et al. (2017), with the mean of the other samples as the baseline of each (Kool et al. 2019; Luo 2020).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from app.models.decoders import Decoder
from app.models.state import State
from training.loop import BOS, EOS

Reward = Callable[[int, list[list[int]]], list[float]]  # of the place of a source in its batch, and of its answers
_BLOCK = 64  # indices
_ENDED = 0.2  # when more of the rows have ended, they leave the batch


class Sampled(NamedTuple):
    """Answers without bos, with eos where they have ended, and the sum of the log-probabilities of each one's tokens
    (answers,), with its gradient."""

    answers: list[list[int]]
    log_probs: Tensor


def sampled(decoder: Decoder, state: State, *, forbidden: Sequence[int], longest: int) -> Sampled:
    """An answer of at most `longest` tokens drawn for each row of `state`, which is the one before the first token."""
    rows = len(state["hidden"])
    device = state["hidden"].device
    answers: list[list[int]] = [[] for _ in range(rows)]
    total = torch.zeros(rows, device=device)
    place = torch.arange(rows, device=device)  # the answer of each row that is left
    previous = torch.full((rows,), BOS, device=device)
    goes_on = torch.ones(rows, dtype=torch.bool, device=device)
    never = torch.tensor(forbidden, device=device)
    for _ in range(longest):
        logits, state, _ = decoder.step(previous, state)
        logits = logits.float().index_fill(1, never, -torch.inf)
        previous = _drawn(logits.detach().softmax(1))
        chosen = logits.gather(1, previous.unsqueeze(1)).squeeze(1) - logits.logsumexp(1)
        total = total.index_add(0, place, torch.where(goes_on, chosen, 0))
        for answer, token, is_new in zip(place.tolist(), previous.tolist(), goes_on.tolist(), strict=True):
            if is_new:
                answers[answer].append(token)
        goes_on = goes_on & (previous != EOS)
        if not goes_on.any():
            break
        if goes_on.float().mean() < 1 - _ENDED:
            state = _at(state, goes_on.nonzero().squeeze(1))
            place, previous, goes_on = place[goes_on], previous[goes_on], goes_on[goes_on]
    return Sampled(answers, total)


def self_critical_loss(
    decoder: Decoder, state: State, reward: Reward, *, samples: int, forbidden: Sequence[int], longest: int
) -> Tensor:
    """The loss whose descent raises the expected reward of an answer: minus its gradient, divided by the mean length
    of the answers, is that of the mean reward of `samples` answers to each source, at least 2. `state` is the one of
    each source before the first token."""
    assert samples > 1  # each has the others as its baseline
    sources = len(state["hidden"])
    repeated = _at(state, torch.arange(sources, device=state["hidden"].device).repeat_interleave(samples))
    answers, log_probs = sampled(decoder, repeated, forbidden=forbidden, longest=longest)
    rewards = torch.tensor(
        [reward(place, answers[place * samples : (place + 1) * samples]) for place in range(sources)]
    )
    baselines = (rewards.sum(1, keepdim=True) - rewards) / (samples - 1)
    advantages = (rewards - baselines).flatten().to(log_probs.device)
    return -(advantages * log_probs).sum() / sum(map(len, answers))


def _drawn(probabilities: Tensor) -> Tensor:
    """An index drawn for each row: a block of indices, then one in it. On a CPU many times as fast as
    `torch.multinomial`."""
    missing = -probabilities.shape[1] % _BLOCK
    blocks = nn.functional.pad(probabilities, (0, missing)).view(len(probabilities), -1, _BLOCK)
    block = _in_proportion(blocks.sum(2))
    within = _in_proportion(blocks[torch.arange(len(blocks)), block])
    return block * _BLOCK + within


def _in_proportion(weights: Tensor) -> Tensor:
    """An index drawn for each row of weights (rows, indices)."""
    sums = weights.cumsum(1)
    points = (1 - torch.rand(len(sums), 1, device=sums.device)) * sums[:, -1:]  # above 0: nothing without weight
    drawn: Tensor = torch.searchsorted(sums, points).squeeze(1)
    return drawn


def _at(state: State, rows: Tensor) -> State:
    """Rows of a state."""
    return cast(State, {name: cast(Tensor, part).index_select(0, rows) for name, part in state.items()})
