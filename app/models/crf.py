"""A linear-chain conditional random field over the labels of a sequence (Lafferty et al. 2001).

The score of a sequence of labels is the sum of its logits, its transitions, and those of its start and end; its
probability is the softmax of that score over all sequences. Sums over sequences are computed forward and backward
(Rabiner 1989, section III.A), in logarithms.
"""

import torch
from torch import Tensor, nn

from app.models.recurrent import last_of, reverse_within


class LinearChainCrf(nn.Module):
    """`transitions` (labels, labels): from the label of a row to that of a column. `start` and `end` (labels,)."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.empty(labels).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(labels).uniform_(-0.1, 0.1))
        self.transitions = nn.Parameter(torch.empty(labels, labels).uniform_(-0.1, 0.1))

    def best_paths(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """logits (batch, source, labels), lengths (batch,) at least 1: the most probable labels (batch, source), 0 past
        a row's length (Viterbi 1967)."""
        scores = logits[:, 0] + self.start  # batch x labels: of the best sequence that ends in a label, less the best
        origins = []
        for position in range(1, logits.shape[1]):
            best = (scores.unsqueeze(2) + self.transitions).max(1)  # batch x labels
            going_on = (position < lengths).unsqueeze(1)
            scores = torch.where(going_on, _below_the_highest(best.values + logits[:, position])[0], scores)
            origins.append(best.indices)
        label = (scores + self.end).argmax(1)  # batch
        labels = [label]
        for position in range(len(origins), 0, -1):
            origin = origins[position - 1].gather(1, label.unsqueeze(1)).squeeze(1)
            label = torch.where(position < lengths, origin, label)
            labels.append(label)
        paths = torch.stack(labels[::-1], 1)
        return paths.masked_fill(_past(logits, lengths), 0)

    def marginals(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """logits (batch, source, labels), lengths (batch,) at least 1: the probability of each label at each position
        (batch, source, labels), over all sequences. They are undefined past a row's length."""
        both = torch.stack((logits, reverse_within(logits, lengths)))  # backward is forward over the mirrored sequence
        start = torch.stack((self.start, self.end)).unsqueeze(1)
        transitions = torch.stack((self.transitions, self.transitions.T)).unsqueeze(1)
        forward, mirrored = _sums(both, start, transitions)[0]
        return (forward + reverse_within(mirrored, lengths) - logits).softmax(2)  # both have the logit of a position

    def log_likelihood(self, logits: Tensor, lengths: Tensor, labels: Tensor) -> Tensor:
        """The log-probability (batch,) of labels (batch, source), for training. Those past a row's length do not
        count."""
        past = _past(logits, lengths)
        chosen = logits.gather(2, labels.unsqueeze(2)).squeeze(2).masked_fill(past, 0).sum(1)
        moves = self.transitions[labels[:, :-1], labels[:, 1:]].masked_fill(past[:, 1:], 0).sum(1)
        last = labels.gather(1, (lengths - 1).unsqueeze(1)).squeeze(1)
        return chosen + moves + self.start[labels[:, 0]] + self.end[last] - self._log_total(logits, lengths)

    def _log_total(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The logarithm (batch,) of the sum over all sequences."""
        sums, highest = _sums(logits, self.start, self.transitions)
        return (last_of(sums + highest, lengths) + self.end).logsumexp(1)


def _sums(logits: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    """logits (..., batch, source, labels), start (..., labels), transitions (..., labels, labels): for each position
    and label, the logarithm of the sum over all sequences up to it (..., batch, source, labels), less the highest of
    its position (..., batch, source, 1), which grows with the length."""
    scores, highest = _below_the_highest(logits[..., 0, :] + start)
    sums, highests = [scores], [highest]
    for position in range(1, logits.shape[-2]):
        entering = (scores.unsqueeze(-1) + transitions).logsumexp(-2)
        scores, highest = _below_the_highest(entering + logits[..., position, :])
        sums.append(scores)
        highests.append(highest)
    return torch.stack(sums, -2), torch.stack(highests, -2).cumsum(-2)


def _below_the_highest(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (..., labels) less the highest (..., 1), so that they stay small, and that one."""
    highest = scores.amax(-1, keepdim=True)
    return scores - highest, highest


def _past(logits: Tensor, lengths: Tensor) -> Tensor:
    """(batch, source), true past a row's length."""
    return torch.arange(logits.shape[1], device=logits.device).unsqueeze(0) >= lengths.unsqueeze(1)
