"""A recurrent layer of one direction: its products with the inputs, and its time loop."""

import torch
from torch import Tensor

from app.models.cells import GATES, Weights
from app.models.serving.native.library import CellFields, Level, RunFields, loaded
from app.models.serving.native.matrix import Matrix, check, columns
from app.store.architecture import CellKind

_KINDS: list[CellKind] = ["lstm", "gru", "rnn_tanh", "rnn_relu"]  # in the order of `enum kind`


class NativeCell:
    """`project` is the part of all steps that needs no state, `unroll` the rest of them, `step` both of one step.

    A row's numbers do not depend on the other rows, bit for bit.
    """

    def __init__(
        self, kind: CellKind, weights: Weights, *, dtype: torch.dtype = torch.float16, level: Level | None = None
    ) -> None:
        gates, size = GATES[kind], weights.weight_hh.shape[1]
        self.kind = kind
        self.hidden_size = size
        self._ih = Matrix(weights.weight_ih, gates=gates, dtype=dtype, level=level)
        self._hh = Matrix(weights.weight_hh, gates=gates, dtype=dtype, level=level)
        lanes = self._hh.level.lanes
        carried = weights.bias_hh.detach().float().clone()
        candidate = carried.new_zeros(size)
        if kind == "gru":  # the reset gate multiplies this bias too
            candidate[:] = carried[2 * size :]
            carried[2 * size :] = 0
        bias = weights.bias_ih.detach().float() + carried
        self._bias = columns(bias.unsqueeze(1), gates, lanes).flatten()
        self._candidate_bias = torch.nn.functional.pad(candidate, (0, -size % lanes))
        self._fields = CellFields(self._hh.fields, self._candidate_bias.data_ptr(), _KINDS.index(kind))

    def project(self, inputs: Tensor) -> Tensor:
        """inputs (positions, input) to gates (positions, ...), in a layout of their own that `unroll` knows."""
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
        """All steps of all rows; returns each row's hidden and cell (rows, hidden) at its own end.

        Step t of row r is at position `firsts[r] + t * time_stride` of gates (positions, ...), and its hidden state is
        written there in outputs (positions, hidden), which may be a part of the columns of a larger tensor. Rows may
        lie one after the other, or padded, batch or time first. No step is run past a row's length, and no other
        position is written. firsts and lengths are (rows,) of int64; `backward` runs each row from its end to its
        start.
        """
        check(outputs, "outputs", self.hidden_size)
        for name, numbers in (("firsts", firsts), ("lengths", lengths)):
            if numbers.dtype != torch.int64 or numbers.shape != hidden.shape[:1] or not numbers.is_contiguous():
                raise ValueError(f"{name} must be ({hidden.shape[0]},) of int64, side by side")
        if gates.shape[0] != outputs.shape[0] or time_stride < 1:
            raise ValueError("gates and outputs must have the same positions, and time must not stand still")
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
        """Fills in what `unroll` and `step` have in common, and calls the kernel. Returns the last cell."""
        check(gates, "gates", self._hh.width)
        check(hidden, "hidden", self.hidden_size)
        if (cell is None) == (self.kind == "lstm"):
            raise ValueError("an LSTM has a cell, and nothing else has")
        last_cell = None
        run.gates, run.gate_stride, run.positions = gates.data_ptr(), gates.stride(0), gates.shape[0]
        run.outputs, run.output_stride = outputs.data_ptr(), outputs.stride(0)
        run.hidden, run.hidden_stride, run.rows = hidden.data_ptr(), hidden.stride(0), hidden.shape[0]
        if cell is not None:
            check(cell, "cell", self.hidden_size)
            if cell.shape != hidden.shape:
                raise ValueError(f"cell {tuple(cell.shape)} must be as hidden {tuple(hidden.shape)}")
            last_cell = torch.empty(cell.shape)
            run.cell, run.cell_stride, run.last_cell = cell.data_ptr(), cell.stride(0), last_cell.data_ptr()
        status = loaded().unroll_run(self._fields, run)
        if status == -1:
            raise MemoryError
        if status:
            raise ValueError("a step lies at a position outside of gates and outputs")
        return last_cell
