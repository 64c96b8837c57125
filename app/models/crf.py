"""A linear-chain conditional random field over the labels of a sequence (Lafferty et al. 2001).

The score of a sequence of labels is the sum of its logits, its transitions, and those of its start and end; its
probability is the softmax of that score over all sequences. Sums over sequences are computed forward and backward
(Rabiner 1989, section III.A), in logarithms and in pieces.
"""

import torch
from torch import Tensor, nn

from app.models.pieces import InPieces
from app.models.recurrent import reverse_within

PIECE = 256  # positions: a few milliseconds


class LinearChainCrf(nn.Module):
    """`transitions` (labels, labels): from the label of a row to that of a column. `start` and `end` (labels,)."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.empty(labels).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(labels).uniform_(-0.1, 0.1))
        self.transitions = nn.Parameter(torch.empty(labels, labels).uniform_(-0.1, 0.1))

    def best_paths(self, logits: Tensor, lengths: Tensor) -> InPieces[Tensor]:
        """logits (batch, source, labels), lengths (batch,) at least 1: the most probable labels (batch, source), 0 past
        a row's length (Viterbi 1967)."""
        batch, source, count = logits.shape
        scores = logits[:, 0] + self.start  # batch x labels: of the best sequence that ends in each
        origins = torch.empty(source, batch, count, dtype=torch.long, device=logits.device)
        for position in range(1, source):
            best = (scores.unsqueeze(2) + self.transitions).max(1)  # batch x labels
            going_on = (position < lengths).unsqueeze(1)
            scores = torch.where(going_on, _below_the_highest(best.values + logits[:, position]), scores)
            origins[position] = best.indices
            if position % PIECE == 0:
                yield
        label = (scores + self.end).argmax(1)  # batch
        paths = torch.empty(batch, source, dtype=torch.long, device=logits.device)
        paths[:, -1] = label
        for position in range(source - 1, 0, -1):
            origin = origins[position].gather(1, label.unsqueeze(1)).squeeze(1)
            label = torch.where(position < lengths, origin, label)
            paths[:, position - 1] = label
            if position % PIECE == 0:
                yield
        return paths.masked_fill(_past(logits, lengths), 0)

    def marginals(self, logits: Tensor, lengths: Tensor) -> InPieces[Tensor]:
        """logits (batch, source, labels), lengths (batch,) at least 1: the probability of each label at each position
        (batch, source, labels), over all sequences. They are undefined past a row's length."""
        both = torch.stack((logits, reverse_within(logits, lengths)))  # backward is forward over the mirrored sequence
        start = torch.stack((self.start, self.end)).unsqueeze(1)
        transitions = torch.stack((self.transitions, self.transitions.T)).unsqueeze(1)
        forward, mirrored = yield from _sums(both, start, transitions)
        backward = reverse_within(mirrored, lengths)
        return torch.softmax(forward + backward - logits, 2)  # both sums have the logit of a position


def _sums(logits: Tensor, start: Tensor, transitions: Tensor) -> InPieces[Tensor]:
    """logits (..., batch, source, labels), start (..., labels), transitions (..., labels, labels): for each position
    and label, the logarithm of the sum over all sequences up to it (..., batch, source, labels), less the highest of
    its position."""
    before = _below_the_highest(logits[..., 0, :] + start)
    sums = torch.empty_like(logits)
    sums[..., 0, :] = before
    for position in range(1, logits.shape[-2]):
        entering = (before.unsqueeze(-1) + transitions).logsumexp(-2)
        before = _below_the_highest(entering + logits[..., position, :])
        sums[..., position, :] = before
        if position % PIECE == 0:
            yield
    return sums


def _below_the_highest(scores: Tensor) -> Tensor:
    """Scores (..., labels) less the highest: those of a long text would need more digits than float32 has."""
    return scores - scores.amax(-1, keepdim=True)


def _past(logits: Tensor, lengths: Tensor) -> Tensor:
    """(batch, source), true past a row's length."""
    return torch.arange(logits.shape[1], device=logits.device).unsqueeze(0) >= lengths.unsqueeze(1)
