"""A network that is ready to run, with the rows of its running requests."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch

from app.engine.cost import IMAGE_STEPS
from app.engine.cuda_graphs import Units
from app.engine.faults import is_of_device, is_out_of_memory
from app.engine.forecast_rows import ForecastRows
from app.engine.policy import Policy
from app.engine.request import Output, Request
from app.engine.sizes import FIXED_BYTES
from app.engine.slots import Slots
from app.models.encoders import FramesEncoder, ImageEncoder, RecurrentEncoder
from app.models.networks import Network
from app.models.pieces import InPieces
from app.models.serving.native.recurrent import NativeRecurrent
from app.models.serving.segments import padded_steps, padded_to_longest
from app.models.serving.tf32 import products_in_tf32
from app.models.serving.unit import DecoderUnit
from app.models.serving.unrolled import PackedRecurrent
from app.store.decoding import Decoding
from app.store.manifest import Manifest
from app.store.window_language_model import WindowLanguageModel

log = logging.getLogger("unroll.engine")
CALM_UNITS = 64
PieceTurn = tuple[str, int | None]  # a client, or one of its HTTP requests


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
    """A network on its device. `block` is the number of rows that step at once: running out of memory halves it,
    and `CALM_UNITS` units without that double it again.
    `exact` is the network as stored, in float32 on the host: explanations come from it, and the first one makes it by
    `make_exact`. `in_pieces` are the answers that are computed in pieces and not complete; `piece_was_last` says
    whether the last action was a piece.

    On a GPU `slots` has the plain rows, whose units are graphs, and `apart` all others: those that draw, search, have
    constraints or want to know more than tokens, and those with a longer source. On a CPU with a native `unit`, `slots`
    has the rows that it decodes, drawn ones too, and `apart` all others; without it `slots` has all rows.
    """

    manifest: Manifest
    network: Network
    slots: Slots
    precision: str  # in words
    block: int
    policy: Policy
    tf32: bool = False
    apart: Slots | None = None
    units: Units | None = None
    unit: DecoderUnit | None = None
    exact: Network | None = None
    make_exact: Callable[[], InPieces[Network]] | None = None
    making_exact: InPieces[Network] | None = None  # while explanations wait for it
    weights_bytes: int = 0  # as served
    exact_bytes: int = 0  # of `exact`, unless it is the served network itself or the device is a GPU
    in_pieces: dict[Request, InPieces[Output]] = field(default_factory=dict)
    piece_turns: dict[PieceTurn, int] = field(default_factory=dict)  # when each had its last piece
    piece_was_last: bool = False
    forecasts: ForecastRows = field(default_factory=ForecastRows)
    counters: Counters = field(default_factory=Counters)
    calm_units: int = 0  # units of decoding since the last lack of memory

    def count_error(self, error: Exception) -> None:
        """Note an error of a batch. Raises it if the device may be lost."""
        if is_of_device(error, self.device):
            raise error
        self.counters.out_of_memory += is_out_of_memory(error)

    def stop_pieces(self, request: Request) -> None:
        """Drop the pieces of a request, if it has some. Without any left, nothing makes `exact` any more."""
        self.in_pieces.pop(request, None)
        if not self.in_pieces:
            self.making_exact = None

    def takes_piece(self) -> bool:
        """Whether a piece is next. Beside running rows, pieces and units of steps take turns."""
        self.piece_was_last = bool(self.in_pieces) and not (self.rows and self.piece_was_last)
        return self.piece_was_last

    def shrink_block(self, rows: int) -> bool:
        """Halve the rows that run at once, of `rows` that run; False if it is one row already."""
        rows = min(self.block, rows)
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
        """Memory of the device for its weights and its rows."""
        rows = [tensor for slots in self.groups for tensor in (*slots.state.values(), slots.history, slots.log_probs)]
        has_exact = self.exact is not None or self.making_exact is not None
        weights = self.weights_bytes + (self.exact_bytes if has_exact else 0)
        return FIXED_BYTES + weights + sum(tensor.nbytes for tensor in rows) + self.forecasts.bytes

    @property
    def device(self) -> torch.device:
        return self.slots.device

    @property
    def groups(self) -> list[Slots]:
        """All rows, in groups that step together."""
        return [self.slots] if self.apart is None else [self.slots, self.apart]

    @property
    def rows(self) -> int:
        """Number of running rows."""
        return sum(slots.count for slots in self.groups) + len(self.forecasts)

    def group_of(self, request: Request) -> Slots:
        """The group with the rows of a request."""
        return next(slots for slots in self.groups if request in slots)

    def by_group(self, requests: Sequence[Request]) -> list[tuple[Slots, list[int]]]:
        """The group that each request is to join: for each group the indices of its requests, at least one."""
        fitting = [index for index, request in enumerate(requests) if self.slots.fit(request)]
        others = [index for index, request in enumerate(requests) if not self.slots.fit(request)]
        return [(slots, chosen) for slots, chosen in zip(self.groups, (fitting, others), strict=False) if chosen]

    def number_types(self) -> AbstractContextManager[None]:
        """Around all that the network computes: products run in TF32 or not, on a GPU only."""
        return nullcontext() if self.policy.looks_each_step else products_in_tf32(self.tf32)

    @property
    def decoding(self) -> Decoding:
        assert self.manifest.decoding is not None  # every model that decodes has it, see `Manifest`
        return self.manifest.decoding

    def bounded(self, steps: int) -> int:
        """The steps of a unit: fewer where each of them reads the windows of all running rows anew. A GPU reads them at
        once, unless its host computes each step of a cell by itself."""
        architecture = self.manifest.architecture
        if not isinstance(architecture, WindowLanguageModel):
            return steps
        if not self.policy.looks_each_step:
            return 1 if architecture.encoder.slow_layers else steps
        return min(steps, max(1, self.policy.budget // (max(1, self.slots.count) * architecture.window)))

    @property
    def is_divisible(self) -> bool:
        """Whether a source can be encoded in chunks. Frames always can: at least their images are encoded apart."""
        architecture = self.manifest.architecture
        if isinstance(architecture, WindowLanguageModel):
            return False  # it keeps the last ids
        encoder = architecture.encoder
        return encoder.kind == "frames" or (encoder.kind != "image" and encoder.is_divisible)

    @property
    def step(self) -> int:
        """Cell steps of one step of a source."""
        return IMAGE_STEPS if isinstance(self.network.encoder, FramesEncoder | ImageEncoder) else 1

    @property
    def padded_steps(self) -> Callable[[Sequence[int]], int]:
        """The cost of a batch of sources in cell steps, padding included."""
        encoder = self.network.encoder
        if isinstance(encoder, FramesEncoder):
            return sum  # only real frames are encoded
        segmented = isinstance(encoder, RecurrentEncoder) and isinstance(
            encoder.recurrence, PackedRecurrent | NativeRecurrent
        )
        return padded_steps if segmented else padded_to_longest
