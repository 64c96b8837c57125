"""Numbers of tensors as tables of a message."""

import torch
from torch import Tensor

from app.engine.protocol import Table


def table(values: Tensor) -> Table:
    """values (rows, columns) on the host, as float32."""
    return Table(values.shape[1], values.float().contiguous().numpy().tobytes())


def numbers(rows: Table) -> Tensor:
    """A table of float32 as a tensor (rows, columns) of its own."""
    return torch.frombuffer(bytearray(rows.numbers), dtype=torch.float32).view(-1, rows.columns)
