"""An encoder-decoder over numbers, recognised by its shapes and links: two recurrences, and a head over the second."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.errors import ImportFailed
from app.importers.chain import chain_of
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.pair_recognition import layers_of
from app.importers.pairs import side_of
from app.importers.parts import as_sides
from app.importers.structure import Group, structure_of, with_layers
from app.store.recurrence import Recurrence

Reads = Literal["fed", "summary"]


@dataclass(frozen=True)
class SeriesPair:
    """`reads` is what the decoder's steps may read by their size, the usual one first: the row before, or the encoder's
    last state in each step."""

    encoder: Recurrence
    encoder_weights: Tensors
    decoder: Recurrence
    decoder_weights: Tensors
    head: Sequence[Group]
    reads: Sequence[Reads]
    names: tuple[str, str]

    @property
    def targets(self) -> int:
        return self.head[-1].outputs

    @property
    def continues(self) -> bool:
        """Whether the encoder's last state can be the decoder's first."""
        ours, theirs = self.decoder, self.encoder
        return (ours.cell, ours.layers, ours.hidden_size) == (theirs.cell, theirs.layers, theirs.hidden_size) and (
            theirs.directions == 1
        )


def series_pair_in(checkpoint: Checkpoint) -> SeriesPair | None:
    """None if the checkpoint has no such network, in one state dict or in two."""
    try:
        pairs = [_pair_of(tensors) for tensors in as_sides(checkpoint)]
    except ImportFailed:  # tensors that have the names of a recurrence, and not its shapes
        return None
    return next((pair for pair in pairs if pair is not None), None)


def _pair_of(tensors: Tensors) -> SeriesPair | None:
    structure = structure_of(tensors)
    recurrences = structure.of("recurrence", "cell")
    encoders = [group for group in recurrences if side_of(group.prefix) == "encoder"]
    decoders = [group for group in recurrences if side_of(group.prefix) == "decoder"]
    is_chain = chain_of(structure_of(with_layers(tensors))) is not None
    if not encoders and not decoders and len(recurrences) == 2 and not is_chain:
        encoders, decoders = recurrences[:1], recurrences[1:]
    if not encoders or not decoders or len(encoders) + len(decoders) < len(recurrences):
        return None
    read, written = layers_of(encoders), layers_of(decoders)
    rest = [group for group in structure.groups if group not in recurrences]
    if read is None or written is None or written[0].directions != 1:
        return None
    head = _head(rest, written[0].hidden_size)
    order = list(structure.groups)
    if head is None or (len(head) > 1 and order.index(head[0]) < order.index(decoders[-1])):
        return None  # a layer before the decoder is a bridge, or one on its inputs
    sizes: dict[Reads, int] = {"fed": head[-1].outputs, "summary": read[0].output_size}
    reads = [kind for kind, size in sizes.items() if size == written[0].input_size]
    names = (encoders[0].name, decoders[0].name)
    pair = SeriesPair(*read, *written, head, reads, names)
    return pair if reads and (pair.continues or "summary" in reads) else None


def _head(groups: Sequence[Group], width: int) -> Sequence[Group] | None:
    """Linear layers, each over the one before; None if there are other parts."""
    for group in groups:
        may_follow = group.kind in ("linear", "table") and "emb" not in group.prefix.lower()
        if not may_follow or side_of(group.prefix) == "encoder" or group.inputs != width:
            return None
        width = group.outputs
    return groups or None
