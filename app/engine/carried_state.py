"""The state of a source that is read in part: within an engine, and as the bytes that a client carries.

`encode` makes it; `Submit.carry` says where it begins and which one the answer brings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor

from app.engine.carrying import OF_LAYER
from app.engine.protocol import Carried
from app.engine.request import Chunk, Request
from app.models.cells import RecurrentState
from app.store.encoder_part import Pooling


@dataclass(frozen=True, slots=True)
class Partial:
    """A source that is encoded in part: the recurrent state after it, and its outputs so far, each (steps, memory). If
    the answer needs them pooled only, it has the last one, and by pooling what that keeps of the others (memory,)."""

    state: RecurrentState
    outputs: list[Tensor]
    pools: Mapping[Pooling, Tensor] = field(default_factory=dict)


def started(request: Request, layers: int | None, like: Tensor, size: int) -> Partial | None:
    """The state with which a request came, with the number type and device of `like`; None if it has none. `size` is
    that of a layer."""
    start = request.carry.start
    if start is None:
        return None
    of_layer = layers is not None
    pools = {
        cast(Pooling, name.removeprefix(OF_LAYER)): _pool(name, data).to(like.device)
        for name, data in start.pools.items()
        if name.startswith(OF_LAYER) == of_layer
    }
    return Partial(recurrent_state(start, like, size=size), [], pools)


def recurrent_state(carried: Carried, like: Tensor, *, size: int | None = None) -> RecurrentState:
    """One row of hidden and cell (1, layers, hidden), with the number type and device of `like`. The hidden size is
    `size`, or that of `like`."""
    size = size or like.shape[-1]
    cell = carried.cell
    return RecurrentState(_tensor(carried.hidden, size, like), None if cell is None else _tensor(cell, size, like))


def keep_state(chunk: Chunk, layers: int | None, state: RecurrentState, pools: Mapping[Pooling, Tensor]) -> None:
    """Keep the state after a chunk, if it is the one that the request wants."""
    request, end = chunk.request, chunk.start + chunk.steps
    if request.carry.keep == end:
        of_layer = OF_LAYER if layers is not None else ""
        kept = {of_layer + pooling: _pooled_bytes(pool) for pooling, pool in pools.items()}
        request.carried = _carried(_steps_before(request) + end, state, kept)


def keep_decoded(request: Request, rows: Mapping[str, Tensor], tokens: int) -> None:
    """Keep the state in the row of a request that has decoded `tokens`, if it wants that."""
    if request.carry.ends:
        row = request.rows[0]
        cell = rows["cell"][row, None] if "cell" in rows else None
        steps = _steps_before(request) + request.cost.encode + tokens
        request.carried = _carried(steps, RecurrentState(rows["hidden"][row, None], cell), {})


def steps_read(chunk: Chunk, step: int) -> int:
    """Steps of a source up to its end, with those that were read by earlier requests; `step` is the cost of one."""
    return _steps_before(chunk.request) + chunk.request.cost.encode // step


def _steps_before(request: Request) -> int:
    return 0 if request.carry.start is None else request.carry.start.steps


def _carried(steps: int, state: RecurrentState, pools: dict[str, bytes]) -> Carried:
    cell = state.cell
    return Carried(steps, _bytes(state.hidden), None if cell is None else _bytes(cell), pools)


def _bytes(values: Tensor) -> bytes:
    return values.float().cpu().contiguous().numpy().tobytes()


def _pooled_bytes(pool: Tensor) -> bytes:
    return pool.cpu().numpy().tobytes() if pool.dtype == torch.float64 else _bytes(pool)


def _tensor(data: bytes, size: int, like: Tensor) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.float32).view(1, -1, size).to(like)


def _pool(name: str, data: bytes) -> Tensor:
    number = np.float64 if name.endswith(("mean", "sum")) else np.float32
    return torch.from_numpy(np.frombuffer(data, number).copy())
