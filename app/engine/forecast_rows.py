"""The running forecasts of one model that are made row by row: what their next step needs.

How many rows follow is known when a forecast starts, so they are kept in the order of their remaining steps, most
first: within a unit those that end are the last ones, a step works on views, and the device is looked at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from app.engine.request import Request
from app.engine.transfers import to_device
from app.models.cells import RecurrentState


class StepState(NamedTuple):
    """The arguments of `Forecaster.step`: the row before (rows, targets), and the state after it."""

    previous: Tensor
    state: RecurrentState

    def at(self, rows: slice | Tensor) -> "StepState":
        """Some rows."""
        hidden, cell = self.state
        return StepState(self.previous[rows], RecurrentState(hidden[rows], None if cell is None else cell[rows]))

    @property
    def bytes(self) -> int:
        """Its memory."""
        return sum(tensor.nbytes for tensor in (self.previous, *self.state) if tensor is not None)


def joined(parts: Sequence[StepState]) -> StepState:
    """All rows of one or more parts."""
    if len(parts) == 1:
        return parts[0]
    cells = [part.state.cell for part in parts if part.state.cell is not None]
    hidden = torch.cat([part.state.hidden for part in parts])
    return StepState(
        torch.cat([part.previous for part in parts]), RecurrentState(hidden, torch.cat(cells) if cells else None)
    )


class ForecastRows:
    """Row i of `states` and of `remaining`, the rows that are still to make, belongs to request i."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.remaining: list[int] = []
        self.states: StepState | None = None

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def bytes(self) -> int:
        """Their memory."""
        return 0 if self.states is None else self.states.bytes

    def join(self, requests: Sequence[Request], remaining: Sequence[int], states: StepState) -> None:
        """Add forecasts. An error leaves those that run as they are."""
        if not requests:
            return
        together = [*self.requests, *requests]
        left = [*self.remaining, *remaining]
        order = sorted(range(len(together)), key=lambda row: -left[row])
        merged = states if self.states is None else joined([self.states, states])
        if order != list(range(len(order))):
            merged = merged.at(to_device(torch.tensor(order), merged.previous.device))
        self.requests, self.remaining = [together[row] for row in order], [left[row] for row in order]
        self.states = merged

    def advance(self, requests: list[Request], remaining: list[int], states: StepState | None) -> None:
        """Replace all rows after a unit."""
        self.requests, self.remaining, self.states = requests, remaining, states

    def leave(self, requests: Sequence[Request]) -> None:
        """Drop the rows of requests, if they have any."""
        gone = set(requests)
        kept = [row for row, request in enumerate(self.requests) if request not in gone]
        if len(kept) == len(self.requests):
            return
        self.requests, self.remaining = [self.requests[row] for row in kept], [self.remaining[row] for row in kept]
        if self.states is not None:
            index = to_device(torch.tensor(kept, dtype=torch.long), self.states.previous.device)
            self.states = self.states.at(index) if kept else None
