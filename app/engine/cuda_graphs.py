"""Units of plain decoding as CUDA graphs: all steps of all rows in one launch, without waiting for the host.

A graph works on fixed addresses and shapes. The addresses are those of the storage of plain rows, which never moves;
the shapes are few and captured before the first request. Rows past the running ones have ended, and positions past a
row's memory are masked, so neither changes an answer. See docs/adr/0013-cuda-graphs.md.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from app.engine.sampling import most_probable
from app.engine.slots import Slots
from app.models.networks import TokenNetwork

log = logging.getLogger("unroll.graphs")
_FEW_ROWS = (4, 16, 64)  # a GPU takes as long for 64 rows as for one: weights are read once for all
_POSITIONS = (16, 64)

Graph = Callable[[], tuple[Tensor, Tensor]]  # of each step, the tokens and their log-probabilities: (steps, rows)


class Shape(NamedTuple):
    """The rows and the positions of memory that a graph works on."""

    rows: int
    memory: int


def plain_unit(network: TokenNetwork, slots: Slots, shape: Shape, *, steps: int, eos: int) -> tuple[Tensor, Tensor]:
    """`steps` most probable tokens for the first rows, in place: tokens and log-probabilities, each (steps, rows).

    Rows that end within the unit stay as they are. Every operation runs on the device, in the same order on the same
    addresses each time, so a graph can replace them.
    """
    mine = slice(0, shape.rows)
    choices = []
    with slots.storing():
        for _ in range(steps):
            logits, state, _ = network.step(*slots.view(mine, shape.memory))
            choices.append(most_probable(logits))
            slots.advance(mine, state)
            slots.take(choices[-1], eos)
    return torch.stack([choice.tokens for choice in choices]), torch.stack([choice.log_probs for choice in choices])


def row_sizes(capacity: int) -> list[int]:
    """The numbers of rows of graphs, the capacity among them: 4, 16, 64, and then doubled."""
    sizes = [size for size in _FEW_ROWS if size < capacity]
    size = 2 * _FEW_ROWS[-1]
    while size < capacity:
        sizes.append(size)
        size *= 2
    return [*sizes, capacity]


def memory_sizes(positions: int) -> list[int]:
    """The memory lengths of graphs for sources of up to `positions`: 16, 64 and all; 0 without memory."""
    return [*(size for size in _POSITIONS if size < positions), positions]


def shapes(capacity: int, memories: Sequence[int]) -> Iterator[Shape]:
    """All shapes, the largest first: later captures then fit into its memory."""
    for rows in reversed(row_sizes(capacity)):
        yield from (Shape(rows, memory) for memory in reversed(memories))


class Units:
    """The graphs of one model, for units of `steps` steps and memories of the lengths `memories`. On a CPU a graph is
    replaced by the calls that it would record."""

    def __init__(self, network: TokenNetwork, slots: Slots, eos: int, *, steps: int, memories: Sequence[int]) -> None:
        self._unit = partial(plain_unit, network, slots, steps=steps, eos=eos)
        self._slots = slots
        self._steps = steps
        self._memories = memories
        self._graphs: dict[Shape, Graph] = {}

    def __len__(self) -> int:
        return len(self._graphs)

    def capture(self) -> None:
        """Make all graphs. The storage of the rows must exist, and no row may run. A failure leaves the model without
        graphs."""
        device = self._slots.device
        with torch.inference_mode():
            try:
                capture = _Captures(device) if device.type == "cuda" else None
                for shape in shapes(self._slots.capacity, self._memories):
                    unit = partial(self._unit, shape)
                    self._graphs[shape] = unit if capture is None else capture(unit)
            except RuntimeError as error:
                torch.cuda.synchronize(device)  # raises if the device is gone, which must not be hidden
                self._graphs.clear()
                log.warning("no CUDA graphs; units of this model run step by step: %s", error)
        log.info("%d graphs of %d steps", len(self), self._steps)

    def graph(self, steps: int, most: int) -> Graph | None:
        """The graph of a unit of all running rows, if there is one of at most `most` rows. What it returns is
        overwritten when it runs again."""
        rows = next((size for size in row_sizes(self._slots.capacity) if size >= self._slots.count), most + 1)
        memory = next((size for size in self._memories if size >= self._slots.longest), 0)
        return self._graphs.get(Shape(rows, memory)) if steps == self._steps and rows <= most else None

    def forget(self) -> None:
        """Drop all graphs."""
        self._graphs.clear()


class _Captures:
    """Captures on a GPU, in one pool of memory and on one stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, unit: Graph) -> Graph:
        """Run a unit once, since libraries prepare themselves then, and record it."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(self._stream):
                unit()
            # thread_local: work of other threads on the GPU must not break the capture
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                results = unit()
        finally:
            torch.cuda.set_stream(current)  # torch leaves the other one in place when the end of a capture fails
            current.wait_stream(self._stream)

        def replay() -> tuple[Tensor, Tensor]:
            graph.replay()
            return results

        return replay
