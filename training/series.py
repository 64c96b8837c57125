"""Numbers of a series as a network reads and answers them, by the columns of its manifest."""

from collections.abc import Sequence

import torch
from torch import Tensor

from app.store.manifest import Feature


def scaled(values: Tensor, columns: Sequence[Feature]) -> Tensor:
    """Numbers in their units (..., columns) as those of the network."""
    return torch.stack([_scaled(values[..., place], column) for place, column in enumerate(columns)], -1)


def in_units(values: Tensor, columns: Sequence[Feature]) -> Tensor:
    """Numbers of the network (..., columns) in their units."""
    return torch.stack([_in_units(values[..., place], column) for place, column in enumerate(columns)], -1)


def _scaled(values: Tensor, column: Feature) -> Tensor:
    shift, scale = column.affine
    return ((values.log1p() if column.log1p else values) - shift) / scale


def _in_units(values: Tensor, column: Feature) -> Tensor:
    shift, scale = column.affine
    values = values * scale + shift
    return values.expm1() if column.log1p else values
