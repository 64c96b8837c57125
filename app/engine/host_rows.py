"""The running rows of a GPU as the host saw them after the last unit."""

from collections.abc import Sequence

import torch
from torch import Tensor


class HostRows:
    """Progress and answers of up to `capacity` rows, in the order of the slots. They grow with the answers, and shrink
    with the storage of the slots."""

    def __init__(self, capacity: int) -> None:
        self.progress = torch.zeros(2, capacity, dtype=torch.long)
        self.steps, self.ended = self.progress[0], self.progress[1]
        self.history = torch.zeros(capacity, 0, dtype=torch.long)
        self.log_probs = torch.zeros(capacity, 0)

    def start(self, rows: slice, pasts: Sequence[Sequence[int]]) -> None:
        """Rows that join have the tokens of earlier requests alone, and run."""
        self._make_room(max(map(len, pasts)))
        self.progress[:, rows] = 0
        for row, past in enumerate(pasts, rows.start):
            self.steps[row] = len(past)
            self.history[row, : len(past)] = torch.tensor(past, dtype=torch.long)

    def extend(self, progress: Tensor, tokens: Tensor, log_probs: Tensor) -> None:
        """Add a unit: progress (2, rows) after it, and what its steps chose, each (steps, rows). Tokens after a row's
        end have no meaning."""
        rows = progress.shape[1]
        at = self.steps[:rows].unsqueeze(1) + torch.arange(len(tokens))  # rows x steps
        if len(tokens):
            self._make_room(int(at.max()) + 1)
        self.history[:rows].scatter_(1, at, tokens.T)
        self.log_probs[:rows].scatter_(1, at, log_probs.T)
        self.progress[:, :rows] = progress

    def move(self, to: Sequence[int], source: Sequence[int]) -> None:
        """Copy rows to other places."""
        for storage in (self.steps, self.ended, self.history, self.log_probs):
            storage[to] = storage[source]

    @property
    def tokens(self) -> int:
        """The number of tokens for which each row has storage."""
        return self.history.shape[1]

    def shrink(self, tokens: int) -> None:
        """Keep storage for at most `tokens` tokens of each row."""
        history, log_probs = self.history[:, :tokens].clone(), self.log_probs[:, :tokens].clone()
        self.history, self.log_probs = history, log_probs

    def _make_room(self, tokens: int) -> None:
        more = max(tokens, 2 * self.history.shape[1]) - self.history.shape[1]
        if tokens > self.history.shape[1]:
            capacity = len(self.history)
            history = torch.cat((self.history, self.history.new_zeros(capacity, more)), 1)
            self.log_probs = torch.cat((self.log_probs, self.log_probs.new_zeros(capacity, more)), 1)
            self.history = history  # only now: both have the same tokens, also if memory lacks for one
