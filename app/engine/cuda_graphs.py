"""Units of plain decoding as CUDA graphs: all steps of all rows in one launch, without waiting for the host.

A graph works on fixed addresses and shapes. The addresses are those of the slots' storage; the shapes are few: rows are
rounded up to a power of two and memory to 16, 32, 64 and so on. Rows past the running ones have ended, and positions
past a row's memory are masked, so neither changes an answer. See docs/adr/0013-cuda-graphs.md.
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

    Rows that end within the unit stay as they are. Every operation runs on the device, in the same order on the same
    addresses each time, so a graph can replace them.
    """
    mine = slice(0, rows)
    for _ in range(steps):
        logits, state, _ = network.step(*slots.view(mine, memory))
        choice = most_probable(logits)
        with slots.storing():
            slots.advance(mine, state)
            slots.take(choice, eos)


def rounded_rows(count: int, capacity: int) -> int:
    """The next power of two, or the capacity if that is less."""
    return min(capacity, 1 << (count - 1).bit_length())


def rounded_memory(longest: int) -> int:
    """`LEAST_MEMORY`, doubled until it holds the longest source; 0 without memory."""
    return max(LEAST_MEMORY, 1 << (longest - 1).bit_length()) if longest else 0


class Shape(NamedTuple):
    """The shape of a captured graph."""

    rows: int
    memory: int
    steps: int


class Units:
    """The units of one model. On a GPU a shape runs eagerly the first time, which warms it up, and is captured the
    second time; on a CPU, or after a capture that failed, it always runs eagerly."""

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
        """Number of graphs."""
        return len(self._graphs)

    def shape(self, steps: int) -> Shape:
        """The shape of a unit of `steps` steps over the rows that run now."""
        slots = self._slots
        return Shape(rounded_rows(slots.count, slots.capacity), rounded_memory(slots.longest), steps)

    def run(self, steps: int) -> None:
        """One unit of all running rows. It is queued on the device and may still run on return."""
        shape = self.shape(steps)
        if not self.captures:
            self._run_eagerly(shape)
            return
        with torch.cuda.device(self._slots.device):
            if self._growths != self._slots.growths:
                self.forget()
            if shape in self._warm and shape not in self._graphs:
                self._capture(shape)
            if shape in self._graphs:
                self._graphs[shape].replay()
            else:
                self._run_on_capture_stream(shape)
                self._warm.add(shape)

    def forget(self) -> None:
        """Drop all graphs: the storage that they work on has moved."""
        if self._graphs:
            torch.cuda.synchronize()
            self._graphs.clear()
            self._pool = torch.cuda.graph_pool_handle()
        self._warm.clear()
        self._growths = self._slots.growths

    def _run_eagerly(self, shape: Shape) -> None:
        plain_unit(self._network, self._slots, *shape, self._eos)

    def _run_on_capture_stream(self, shape: Shape) -> None:
        """Run eagerly on the stream of the captures. The first run of a shape needs it: libraries initialise per
        stream."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                self._run_eagerly(shape)
        finally:
            current.wait_stream(self._stream)

    def _capture(self, shape: Shape) -> None:
        """Record a unit without running it. After a failure this model has no graphs any more."""
        current = torch.cuda.current_stream()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: work of other threads on the GPU must not break the capture
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                self._run_eagerly(shape)
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # torch leaves the other one in place when the end of a capture fails
            torch.cuda.synchronize()  # raises if the device is gone, which must not be hidden
            log.warning("no CUDA graph of %s; units of this model run eagerly from now on: %s", shape, error)
            self.captures = False
            self._graphs.clear()
            return
        self._graphs[shape] = graph
        log.info("captured %s, %d graphs", shape, len(self._graphs))
