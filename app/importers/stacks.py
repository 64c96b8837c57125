"""Recurrences one after the other as the layers of one, for parts of ours that have only one (language models)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Tensors
from app.store.recurrence import CELLS, Recurrence

Layer = tuple[Recurrence, Tensors]


def is_stack(recurrences: Sequence[Recurrence]) -> bool:
    """Whether they can be the layers of one recurrence: one kind of cell, in one direction."""
    first = recurrences[0]
    return all(one.settings == first.settings and one.directions == 1 and not one.reverse for one in recurrences)


def stacked(layers: Sequence[Layer]) -> Layer:
    """Recurrences and their weights as one recurrence, as wide as the widest of them. The units that it adds have
    weights of 0, so they stay 0: the numbers are those of the narrow ones. Raises ImportFailed."""
    recurrences = [recurrence for recurrence, _ in layers]
    if not is_stack(recurrences):
        raise ImportFailed("recurrences of different cells, or in two directions, cannot keep their state together")
    first = recurrences[0]
    width = max(recurrence.hidden_size for recurrence in recurrences)
    blocks = CELLS[first.cell].blocks
    tensors: dict[str, Tensor] = {}
    number = 0
    for recurrence, weights in layers:
        for layer in range(recurrence.layers):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                tensor = weights[f"{name}_l{layer}"]
                reads_hidden = name == "weight_hh" or (name == "weight_ih" and number > 0)
                columns = width if reads_hidden else None
                tensors[f"{name}_l{number}"] = _widened(tensor, blocks, width, columns)
            number += 1
    whole = first.model_copy(update={"hidden_size": width, "layers": number})
    return whole, tensors


def _widened(tensor: Tensor, blocks: int, rows: int, columns: int | None) -> Tensor:
    """With this number of rows in each block, and of columns; the rest is 0."""
    parts = [_padded(part, 0, rows) for part in tensor.chunk(blocks)]
    whole = torch.cat(parts)
    return whole if columns is None else _padded(whole, 1, columns)


def _padded(tensor: Tensor, dimension: int, size: int) -> Tensor:
    missing = size - tensor.shape[dimension]
    shape = [*tensor.shape]
    shape[dimension] = missing
    return torch.cat((tensor, tensor.new_zeros(shape)), dimension) if missing else tensor


def widened_output(weight: Tensor, width: int) -> Tensor:
    """The weight (out, in) of a layer that reads a stack of this width."""
    return _padded(weight, 1, width)
