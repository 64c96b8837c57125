"""Units of plain decoding as CUDA graphs: all steps of all rows in one launch, without a look from the host.

A graph works on fixed addresses and shapes. The addresses are those of the slots' storage; the shapes are few: rows are
rounded up to a power of two and memory to 16, 32, 64 and so on. What lies past the running rows has ended, and what
lies past a row's memory is masked, so neither changes an answer. See docs/adr/0013-cuda-graphs.md.
"""

import logging
from typing import NamedTuple

import torch

from app.engine.sampling import most_probable
from app.engine.slots import Slots
from app.models.networks import EncoderDecoder

log = logging.getLogger("unroll.graphs")
LEAST_MEMORY = 16  # positions


def plain_unit(network: EncoderDecoder, slots: Slots, rows: int, memory: int, steps: int, eos: int) -> None:
    """`steps` most probable tokens for the first `rows` rows, in place, attending to `memory` positions.

    Rows that end within the unit stay as they are. Every operation is on the device, in the same order on the same
    addresses each time, so that a graph can stand for it.
    """
    mine = slice(0, rows)
    for _ in range(steps):
        logits, state, _ = network.step(*slots.view(mine, memory))
        slots.advance(mine, state)
        slots.take(most_probable(logits), eos)


def rounded_rows(count: int, capacity: int) -> int:
    """The next power of two, or the capacity if that is less."""
    return min(capacity, 1 << (count - 1).bit_length())


def rounded_memory(longest: int) -> int:
    """`LEAST_MEMORY` doubled until it is enough; 0 without memory."""
    return max(LEAST_MEMORY, 1 << (longest - 1).bit_length()) if longest else 0


class Shape(NamedTuple):
    """What a graph was captured for."""

    rows: int
    memory: int
    steps: int


class Units:
    """The units of one model. On a GPU a shape is run as it stands the first time, which warms it up, and captured when
    it comes again; on a CPU, or once a capture has failed, it is always run as it stands."""

    def __init__(self, network: EncoderDecoder, slots: Slots, eos: int) -> None:
        self._network = network
        self._slots = slots
        self._eos = eos
        self.captures = slots.device.type == "cuda"
        self._graphs: dict[Shape, torch.cuda.CUDAGraph] = {}
        self._warm: set[Shape] = set()
        self._growths = -1
        if self.captures:
            self._stream = torch.cuda.Stream(slots.device)  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()

    @property
    def captured(self) -> int:
        """Graphs that there are now."""
        return len(self._graphs)

    def shape(self, steps: int) -> Shape:
        """Of a unit of so many steps of the rows that run now."""
        slots = self._slots
        return Shape(rounded_rows(slots.count, slots.capacity), rounded_memory(slots.longest), steps)

    def run(self, steps: int) -> None:
        """One unit of all running rows. It is queued on the device, and may still be under way on return."""
        shape = self.shape(steps)
        if not self.captures:
            self._run_as_it_stands(shape)
            return
        with torch.cuda.device(self._slots.device):
            if self._growths != self._slots.growths:
                self.forget()
            if shape in self._warm and shape not in self._graphs:
                self._capture(shape)
            if shape in self._graphs:
                self._graphs[shape].replay()
            else:
                self._run_beside(shape)
                self._warm.add(shape)

    def forget(self) -> None:
        """Give up all graphs, since the storage that they work on has moved."""
        if self._graphs:
            torch.cuda.synchronize()
            self._graphs.clear()
            self._pool = torch.cuda.graph_pool_handle()
        self._warm.clear()
        self._growths = self._slots.growths

    def _run_as_it_stands(self, shape: Shape) -> None:
        plain_unit(self._network, self._slots, *shape, self._eos)

    def _run_beside(self, shape: Shape) -> None:
        """On the stream that graphs are captured on, as the first run of a shape has to be: libraries set themselves up
        for a stream."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                self._run_as_it_stands(shape)
        finally:
            current.wait_stream(self._stream)

    def _capture(self, shape: Shape) -> None:
        """Record a unit; nothing of it is run. Without success there are no graphs for this model any more."""
        current = torch.cuda.current_stream()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: what other threads of the process do on the GPU must not spoil it
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                self._run_as_it_stands(shape)
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # torch leaves the other one in place when the end of a capture fails
            torch.cuda.synchronize()  # raises if the device is gone, which is not ours to hide
            log.warning("no CUDA graph of %s, units run step by step from now on: %s", shape, error)
            self.captures = False
            self._graphs.clear()
            return
        self._graphs[shape] = graph
        log.info("captured %s, %d graphs", shape, len(self._graphs))
