"""The running rows of one model: a dense prefix of preallocated tensors, so that a step works on views.

A row joins at the end of the prefix; when one leaves, the last row is copied into its place.
"""

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from app.engine.messages import RequestKey
from app.models.state import State

_GROWS = ("memory", "keys", "memory_mask")  # (slots, source, ...): as long as the longest running source


@dataclass(slots=True)
class Row:
    """What the host keeps of a running request; `length` is the length of its memory."""

    key: RequestKey
    max_tokens: int
    length: int
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)


class Slots:
    """State of up to `capacity` rows on `device`. Storage is made on first use and grows with the longest source."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        self.device = device
        self.rows: list[Row] = []
        self._storage: dict[str, Tensor] = {}
        self._previous = torch.zeros(capacity, dtype=torch.long, device=device)

    def admit(self, rows: list[Row], state: State, bos: int) -> None:
        """Append rows, each with its row of `state`; their first input is `bos`."""
        first, last = len(self.rows), len(self.rows) + len(rows)
        assert last <= self.capacity
        for name, tensor in cast(dict[str, Tensor], state).items():
            storage = self._room_for(name, tensor)
            if name in _GROWS:
                storage[first:last, : tensor.shape[1]] = tensor
                storage[first:last, tensor.shape[1] :] = 0
            else:
                storage[first:last] = tensor
        self._previous[first:last] = bos
        self.rows += rows

    def _room_for(self, name: str, tensor: Tensor) -> Tensor:
        storage = self._storage.get(name)
        if storage is None:
            storage = tensor.new_zeros((self.capacity, *tensor.shape[1:]))
        elif name in _GROWS and storage.shape[1] < tensor.shape[1]:
            longer = tensor.new_zeros((self.capacity, max(tensor.shape[1], 2 * storage.shape[1]), *tensor.shape[2:]))
            longer[:, : storage.shape[1]] = storage
            storage = longer
        self._storage[name] = storage
        return storage

    def running(self) -> tuple[Tensor, State]:
        """The last tokens (rows,) and the state of all running rows, as views cut to the longest source."""
        count = len(self.rows)
        longest = max((row.length for row in self.rows), default=0)
        views = {
            name: storage[:count, :longest] if name in _GROWS else storage[:count]
            for name, storage in self._storage.items()
        }
        return self._previous[:count], cast(State, views)

    def advance(self, tokens: Tensor, state: State) -> None:
        """Keep what a step changed: the last tokens, hidden and cell."""
        count = len(self.rows)
        self._previous[:count] = tokens
        self._storage["hidden"][:count] = state["hidden"]
        if "cell" in state:
            self._storage["cell"][:count] = state["cell"]

    def release(self, index: int) -> Row:
        """Free a row; the last one takes its place."""
        last = len(self.rows) - 1
        if index != last:
            for storage in (*self._storage.values(), self._previous):
                storage[index] = storage[last]
            self.rows[index], self.rows[last] = self.rows[last], self.rows[index]
        return self.rows.pop()

    def release_key(self, key: RequestKey) -> bool:
        """Free the row of a request; False when it has none."""
        for index, row in enumerate(self.rows):
            if row.key == key:
                self.release(index)
                return True
        return False
