"""A linear-chain conditional random field over the labels of a sequence (Lafferty et al. 2001).

The score of a sequence of labels is the sum of its logits, its transitions, and those of its start and end; its
probability is the softmax of that score over all sequences. Sums over sequences are computed forward and backward
(Rabiner 1989, section III.A), in logarithms.
"""

import torch
from torch import Tensor, nn


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
        scores = logits[:, 0] + self.start  # batch x labels: of the best sequence that ends in a label
        origins = []
        for position in range(1, logits.shape[1]):
            best = (scores.unsqueeze(2) + self.transitions).max(1)  # batch x labels
            going_on = (position < lengths).unsqueeze(1)
            scores = torch.where(going_on, best.values + logits[:, position], scores)
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
        forward = torch.stack(self._forward(logits), 1)
        backward = torch.stack(self._backward(logits, lengths), 1)
        return (forward + backward).softmax(2)

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
        forward = torch.stack(self._forward(logits), 1)
        index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, forward.shape[2])
        return (forward.gather(1, index).squeeze(1) + self.end).logsumexp(1)

    def _forward(self, logits: Tensor) -> list[Tensor]:
        """For each position (batch, labels): the sum over sequences up to it, its logit included."""
        sums = [logits[:, 0] + self.start]
        for position in range(1, logits.shape[1]):
            entering = (sums[-1].unsqueeze(2) + self.transitions).logsumexp(1)
            sums.append(entering + logits[:, position])
        return sums

    def _backward(self, logits: Tensor, lengths: Tensor) -> list[Tensor]:
        """For each position (batch, labels): the sum over sequences after it."""
        sums = [self.end.expand(len(logits), -1)]
        for position in range(logits.shape[1] - 1, 0, -1):
            leaving = ((sums[-1] + logits[:, position]).unsqueeze(1) + self.transitions).logsumexp(2)
            sums.append(torch.where((position < lengths).unsqueeze(1), leaving, self.end))
        return sums[::-1]


def _past(logits: Tensor, lengths: Tensor) -> Tensor:
    """(batch, source), true past a row's length."""
    return torch.arange(logits.shape[1], device=logits.device).unsqueeze(0) >= lengths.unsqueeze(1)
