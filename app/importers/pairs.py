"""An encoder-decoder recognised by its shapes and links: tables, recurrences, output layer, and what is between them.

An encoder of images has no recurrence: its features are the memory and the summary."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from app.importers.checkpoint import Tensors
from app.importers.pair_attention import PairAttention
from app.importers.structure import Group
from app.store.recurrence import Recurrence

Side = Literal["encoder", "decoder"]
ReadoutPart = Literal["hidden", "context", "embedding"]
_SIDE = re.compile(r"(?:^|[^a-z])(enc|src|source|dec|tgt|trg|target)")
_ENCODERS = ("enc", "src", "source")


@dataclass(frozen=True)
class Reader:
    """A recurrence, the layers of several as one, and the table of its ids; without a table ids are one-hot."""

    recurrence: Recurrence
    weights: Tensors
    table: Tensor
    name: str
    table_name: str | None

    @property
    def rows(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Pair:
    """`encoder` is None over images. `memory` are the features of what the decoder attends to, `is_summed` where both
    directions of the encoder are added. `combine` is a layer between embedding and context and the recurrence,
    `readout` one before `output`, which is None if it has the weights of the embedding. `gets` is what the decoder's
    recurrence reads beside an embedding; where two fit, the usual one is first. `reads` are the inputs of the first
    layer after the recurrence in all orders that fit. `doubt` counts parts whose names do not say what they are."""

    encoder: Reader | None
    decoder: Reader
    memory: int
    is_summed: bool
    attention: PairAttention | None
    bridge: Sequence[Group]
    combine: Group | None
    readout: Group | None
    output: Group | None
    gets: Sequence[Literal["nothing", "context", "fed"]]
    reads: Sequence[tuple[ReadoutPart, ...]]
    doubt: int = 0

    @property
    def embedding_size(self) -> int:
        return int(self.decoder.table.shape[1])

    @property
    def hidden_size(self) -> int:
        return self.decoder.recurrence.hidden_size

    @property
    def has_context(self) -> bool:
        """Whether the decoder may read something of the encoder beside its first state."""
        return "context" in self.gets or any("context" in parts for parts in self.reads)


def side_of(prefix: str) -> Side | None:
    """The side that the names of a prefix say, the outermost first."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", prefix).lower()
    found = _SIDE.search(words)
    return None if found is None else "encoder" if found.group(1) in _ENCODERS else "decoder"
