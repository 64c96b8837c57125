"""A network that is ready to run, with the rows of its running requests."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from app.engine.cuda_graphs import Units
from app.engine.faults import is_of_device, is_out_of_memory
from app.engine.request import Request
from app.engine.sizes import FIXED_BYTES
from app.engine.slots import Slots
from app.models.encoders import TextEncoder
from app.models.explain import Explained, InPieces
from app.models.networks import Classifier, EncoderDecoder
from app.models.serving.native.recurrent import NativeRecurrent
from app.models.serving.segments import padded_steps, padded_to_longest
from app.models.serving.unrolled import PackedRecurrent
from app.store.manifest import Decoding, Manifest

log = logging.getLogger("unroll.engine")
CALM_UNITS = 64


@dataclass(slots=True)
class Counters:
    """Work done, in cell steps: `useful` steps belong to a source, `padded` are those and the padding around them."""

    units: int = 0
    encoded: int = 0  # sources
    encode_useful: int = 0
    encode_padded: int = 0
    decode_steps: int = 0
    decode_rows: int = 0
    out_of_memory: int = 0


@dataclass(slots=True)
class LoadedModel:
    """A network on its device. `block` is the number of rows that decode at once: running out of memory halves it,
    and `CALM_UNITS` units without that double it again.
    `exact` is a classifier as stored, in float32 on the host: explanations come from it, and the first one makes it by
    `make_exact`. `explaining` are those that are not complete.

    `releases_each_step`: rows that end are released at once and not at the end of the unit. On a CPU, where reading a
    value costs nothing. `runs_units`: a unit of plain decoding runs in one go (`cuda_graphs`). On a GPU, where the host
    is the slower side.
    """

    manifest: Manifest
    network: Classifier | EncoderDecoder
    slots: Slots
    precision: str  # in words
    block: int
    units: Units | None = None
    exact: Classifier | None = None
    make_exact: Callable[[], InPieces[Classifier]] | None = None
    weights_bytes: int = 0  # as served
    exact_bytes: int = 0  # of `exact`, unless it is the served network itself
    explaining: dict[Request, InPieces[Explained]] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)
    calm_units: int = 0  # units of decoding since the last lack of memory
    releases_each_step: bool = field(init=False)
    runs_units: bool = field(init=False)

    def __post_init__(self) -> None:
        self.releases_each_step = self.device.type == "cpu"
        self.runs_units = self.device.type == "cuda"

    def count_error(self, error: Exception) -> None:
        """Note an error of a batch. Raises it if the device may be lost."""
        if is_of_device(error, self.device):
            raise error
        self.counters.out_of_memory += is_out_of_memory(error)

    def shrink_block(self) -> bool:
        """Halve the rows that decode at once; False if it is one row already."""
        rows = min(self.block, self.slots.count)
        if rows <= 1:
            return False
        self.block, self.calm_units = (rows + 1) // 2, 0
        log.warning("%s is out of memory with %d rows; %d at once for now", self.key, rows, self.block)
        return True

    def count_unit(self) -> None:
        """Note a unit of decoding, which may double the rows that decode at once."""
        self.counters.units += 1
        self.calm_units += 1
        if self.block < self.slots.capacity and self.calm_units >= CALM_UNITS:
            self.block, self.calm_units = min(2 * self.block, self.slots.capacity), 0

    @property
    def key(self) -> str:
        return self.manifest.key

    @property
    def bytes(self) -> int:
        """Memory of its weights and of its rows."""
        rows = (*self.slots.state.values(), self.slots.history, self.slots.log_probs)
        weights = self.weights_bytes + (self.exact_bytes if self.exact is not None else 0)
        return FIXED_BYTES + weights + sum(tensor.nbytes for tensor in rows)

    @property
    def device(self) -> torch.device:
        return self.slots.device

    @property
    def decoding(self) -> Decoding:
        assert self.manifest.decoding is not None  # every model that decodes has it, see `Manifest`
        return self.manifest.decoding

    @property
    def is_divisible(self) -> bool:
        """Whether a source can be encoded in chunks: only a text that is read in one direction."""
        encoder = self.network.encoder
        return isinstance(encoder, TextEncoder) and encoder.recurrence.recurrence.directions == 1

    @property
    def padded_steps(self) -> Callable[[Sequence[int]], int]:
        """The cost of a batch of sources in cell steps, padding included."""
        encoder = self.network.encoder
        segmented = isinstance(encoder, TextEncoder) and isinstance(
            encoder.recurrence, PackedRecurrent | NativeRecurrent
        )
        return padded_steps if segmented else padded_to_longest
