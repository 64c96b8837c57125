"""A recurrent layer in one direction: its products with the inputs, and its time loop."""

from typing import Literal, TypeGuard, get_args

import torch
from torch import Tensor

from app.models.cells import Weights
from app.models.serving.native.library import CellFields, LayerFields, Level, RunFields, loaded
from app.models.serving.native.matrix import Matrix, check, columns
from app.store.recurrence import CELLS, CellKind

NativeKind = Literal["lstm", "gru", "rnn_tanh", "rnn_relu"]  # in the order of `enum kind` in kernels.c
_KINDS: tuple[NativeKind, ...] = get_args(NativeKind)


def has_native_form(kind: CellKind) -> TypeGuard[NativeKind]:
    """Whether the kernels compute this kind of cell."""
    return kind in _KINDS


class NativeCell:
    """`project` multiplies the inputs of all steps, `unroll` runs the steps, `step` does both for one step.

    A row's results do not depend on the other rows, bit for bit.
    """

    def __init__(
        self, kind: NativeKind, weights: Weights, *, dtype: torch.dtype = torch.float16, level: Level | None = None
    ) -> None:
        gates, size = CELLS[kind].blocks, weights.weight_hh.shape[1]
        self.kind = kind
        self.hidden_size = size
        self._has_cell = CELLS[kind].has_cell
        self._ih = Matrix(weights.weight_ih, gates=gates, dtype=dtype, level=level)
        self._hh = Matrix(weights.weight_hh, gates=gates, dtype=dtype, level=level)
        self.level = self._hh.level
        lanes = self.level.lanes
        carried = weights.bias_hh.detach().float().clone()
        candidate = carried.new_zeros(size)
        if kind == "gru":  # the reset gate multiplies this bias too
            candidate[:] = carried[2 * size :]
            carried[2 * size :] = 0
        bias = weights.bias_ih.detach().float() + carried
        self._bias = columns(bias.unsqueeze(1), gates, lanes).flatten()
        self._candidate_bias = torch.nn.functional.pad(candidate, (0, -size % lanes))
        self.fields = CellFields(self._hh.fields, self._candidate_bias.data_ptr(), _KINDS.index(kind))

    @property
    def panels(self) -> tuple[Tensor, Tensor]:
        """The packed weights."""
        return self._ih.panels, self._hh.panels

    @property
    def projection(self) -> LayerFields:
        """`project` as the kernels read it, while this cell exists."""
        return LayerFields(self._ih.fields, self._bias.data_ptr(), self._ih.width)

    def project(self, inputs: Tensor) -> Tensor:
        """inputs (positions, input) to gates (positions, ...), in the layout of `unroll`."""
        return self._ih.multiply(inputs, self._bias, self._ih.width)

    def unroll(
        self,
        gates: Tensor,
        firsts: Tensor,
        lengths: Tensor,
        hidden: Tensor,
        cell: Tensor | None,
        outputs: Tensor,
        *,
        time_stride: int = 1,
        backward: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """All steps of all rows; returns hidden and cell (rows, hidden) at each row's end.

        Step t of row r reads position `firsts[r] + t * time_stride` of gates (positions, ...) and writes its hidden
        state to that position of outputs (positions, hidden). So rows may be concatenated, or padded with the batch or
        the time first; outputs may be some columns of a larger tensor. No step runs past a row's length, and no other
        position is written. firsts and lengths are (rows,) of int64; `backward` runs each row from its end to its
        start.
        """
        check(outputs, "outputs", self.hidden_size)
        for name, numbers in (("firsts", firsts), ("lengths", lengths)):
            if numbers.dtype != torch.int64 or numbers.shape != hidden.shape[:1] or not numbers.is_contiguous():
                raise ValueError(f"{name} must be ({hidden.shape[0]},) of int64, contiguous")
        if gates.shape[0] != outputs.shape[0] or time_stride < 1:
            raise ValueError("gates and outputs must have the same positions, and time_stride must be at least 1")
        last_hidden = torch.empty(hidden.shape)
        last_cell = self._run(
            RunFields(
                firsts=firsts.data_ptr(),
                lengths=lengths.data_ptr(),
                last_hidden=last_hidden.data_ptr(),
                time_stride=time_stride,
                backward=backward,
            ),
            gates,
            hidden,
            cell,
            outputs,
        )
        return last_hidden, last_cell

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """inputs (rows, input), hidden and cell (rows, hidden), to the next hidden and cell."""
        gates = self.project(inputs)
        if gates.shape[0] != hidden.shape[0]:
            raise ValueError(f"{gates.shape[0]} rows of inputs, but {hidden.shape[0]} of hidden")
        next_hidden = torch.empty(hidden.shape)
        return next_hidden, self._run(RunFields(), gates, hidden, cell, next_hidden)

    def _run(
        self, run: RunFields, gates: Tensor, hidden: Tensor, cell: Tensor | None, outputs: Tensor
    ) -> Tensor | None:
        """Fill in the fields that `unroll` and `step` share, and call the kernel. Returns the last cell."""
        check(gates, "gates", self._hh.width)
        check(hidden, "hidden", self.hidden_size)
        if (cell is not None) != self._has_cell:
            raise ValueError(f"cell kind {self.kind} has {'a' if self._has_cell else 'no'} cell beside hidden")
        last_cell = None
        run.gates, run.gate_stride, run.positions = gates.data_ptr(), gates.stride(0), gates.shape[0]
        run.outputs, run.output_stride = outputs.data_ptr(), outputs.stride(0)
        run.hidden, run.hidden_stride, run.rows = hidden.data_ptr(), hidden.stride(0), hidden.shape[0]
        if cell is not None:
            check(cell, "cell", self.hidden_size)
            if cell.shape != hidden.shape:
                raise ValueError(f"cell {tuple(cell.shape)} must have the shape of hidden {tuple(hidden.shape)}")
            last_cell = torch.empty(cell.shape)
            run.cell, run.cell_stride, run.last_cell = cell.data_ptr(), cell.stride(0), last_cell.data_ptr()
        status = loaded().unroll_run(self.fields, run)
        if status == -1:
            raise MemoryError
        if status:
            raise ValueError("a step is at a position outside of gates and outputs")
        return last_cell
