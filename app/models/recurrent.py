"""A stack of recurrent layers: all steps of a padded batch, and one step.

Modules hold weights only; they take a state and return the next one.
"""

from abc import ABC, abstractmethod
from functools import partial

import torch
from torch import Tensor, nn

from app.models.cells import RecurrentState, Weights, joined, unroll_by_steps
from app.models.gates import computation_of
from app.store.recurrence import CELLS, Recurrence


def reverse_within(sequence: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row within its length; the padding on the right stays: (batch, source, features)."""
    positions = torch.arange(sequence.shape[1], device=sequence.device).unsqueeze(0)  # 1 x source
    mirrored = lengths.unsqueeze(1) - 1 - positions  # batch x source
    index = torch.where(mirrored >= 0, mirrored, positions)
    return sequence.gather(1, index.unsqueeze(2).expand_as(sequence))


def last_of(sequence: Tensor, lengths: Tensor) -> Tensor:
    """The output at each row's last real position: (batch, source, features) to (batch, features)."""
    index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, sequence.shape[2])
    return sequence.gather(1, index).squeeze(1)


class RecurrentSteps(nn.Module, ABC):
    """The first state, and a step through all layers."""

    def __init__(self, recurrence: Recurrence) -> None:
        super().__init__()
        self.recurrence = recurrence
        self._computation = computation_of(recurrence)

    def initial_state(self, batch: int, like: Tensor, *, layers: int | None = None) -> RecurrentState:
        """Zeros for `batch` rows, with the number type and device of `like`: of all layers or the first `layers`."""
        spec = self.recurrence
        zeros = like.new_zeros(batch, (layers or spec.layers) * spec.directions, spec.hidden_size)
        return RecurrentState(zeros, zeros.clone() if CELLS[spec.cell].has_cell else None)

    def step(self, inputs: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """One step of all layers, in one direction: inputs (batch, input) to outputs (batch, hidden)."""
        assert self.recurrence.directions == 1
        hiddens, cells = [], []
        for layer in range(self.recurrence.layers):
            inputs, cell = self._step_layer(layer, inputs, *state.row(layer))
            hiddens.append(inputs)
            cells.append(cell)
        return inputs, joined(hiddens, cells)

    @abstractmethod
    def _step_layer(
        self, layer: int, inputs: Tensor, hidden: Tensor, cell: Tensor | None
    ) -> tuple[Tensor, Tensor | None]: ...


class RecurrentLayers(RecurrentSteps):
    """What `Recurrent` and its serving forms share."""

    ends_in_zeros = False  # whether outputs past a row's length are 0 rather than undefined

    @abstractmethod
    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None, *, layers: int | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """See `Recurrent.unroll`."""


class Recurrent(RecurrentLayers):
    """A stack of recurrent layers as `Recurrence` describes it. `dropout` (a rate) acts between layers, in training."""

    def __init__(self, recurrence: Recurrence, *, dropout: float = 0.0) -> None:
        super().__init__(recurrence)
        self.dropout = dropout
        rows = CELLS[recurrence.cell].blocks * recurrence.hidden_size
        bound = recurrence.hidden_size**-0.5
        for layer in range(recurrence.layers):
            width = recurrence.input_size if layer == 0 else recurrence.output_size
            for suffix in self._suffixes(layer):
                for name, shape in (
                    ("weight_ih", (rows, width)),
                    ("weight_hh", (rows, recurrence.hidden_size)),
                    ("bias_ih", (rows,)),
                    ("bias_hh", (rows,)),
                ):
                    values = torch.empty(shape).uniform_(-bound, bound)
                    self.register_parameter(name + suffix, nn.Parameter(values))

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self.recurrence.directions]

    def _weights(self, suffix: str) -> Weights:
        return Weights(*(self.get_parameter(name + suffix) for name in Weights._fields))

    def _unroll_weights(self, suffix: str) -> Weights:
        return self._computation.unroll_weights(self._weights(suffix))

    def weights_by_layer(self) -> list[list[Weights]]:
        """One list per layer, with the weights of each direction."""
        return [[self._weights(suffix) for suffix in self._suffixes(layer)] for layer in range(self.recurrence.layers)]

    def _step_layer(
        self, layer: int, inputs: Tensor, hidden: Tensor, cell: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        step = self._computation.step
        return step(inputs, hidden, cell, self._weights(f"_l{layer}"))

    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None, *, layers: int | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """All steps of a batch padded on the right, through all layers or the first `layers` of them.

        inputs (batch, source, input), lengths (batch,) at least 1: outputs (batch, source, hidden * directions),
        undefined past a row's length, and the state at each row's end.
        """
        spec = self.recurrence
        computation = self._computation
        unroll = computation.unroll or partial(unroll_by_steps, computation.step)
        if state is None:
            state = self.initial_state(inputs.shape[0], inputs)
        hiddens: list[Tensor] = []
        cells: list[Tensor | None] = []
        for layer in range(layers or spec.layers):
            if layer and self.dropout:
                inputs = nn.functional.dropout(inputs, self.dropout, self.training)
            outputs = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                source = reverse_within(inputs, lengths) if direction else inputs
                start = state.row(len(hiddens))
                output, cell = unroll(source, lengths, *start, self._unroll_weights(suffix), self.training)
                hiddens.append(last_of(output, lengths))
                cells.append(cell)
                outputs.append(reverse_within(output, lengths) if direction else output)
            inputs = torch.cat(outputs, 2) if len(outputs) > 1 else outputs[0]
        return inputs, joined(hiddens, cells)
