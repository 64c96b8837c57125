"""An encoder-decoder among the tensors of a checkpoint: which recurrences are its sides, and which tables they read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from app.importers.checkpoint import Tensors
from app.importers.pair_links import linked
from app.importers.pairs import Pair, Reader, side_of
from app.importers.parts import recurrence, recurrent_weights
from app.importers.stacks import is_stack, stacked
from app.importers.structure import Group, Structure, is_named_table, structure_of
from app.store.recurrence import Recurrence


@dataclass
class _Parts:
    """The groups of a checkpoint that have no role yet, in their order."""

    structure: Structure
    groups: list[Group] = field(default_factory=list)

    def take(self, group: Group) -> Group:
        self.groups = [other for other in self.groups if other is not group]
        return group


def pair_of(tensors: Tensors, one_hot: Sequence[int] = ()) -> Pair | None:
    """The encoder-decoder over texts with these tensors. `one_hot` are the sizes of vocabularies that ids without a
    table may have. None if the parts do not make one."""
    structure = structure_of(tensors)
    parts = _Parts(structure, _with_vectors(structure.groups))
    recurrences = structure.of("recurrence", "cell")
    sides = {group.prefix: side_of(group.prefix) for group in recurrences}
    encoders = [group for group in recurrences if sides[group.prefix] == "encoder"]
    decoders = [group for group in recurrences if sides[group.prefix] == "decoder"]
    are_named = bool(encoders and decoders)
    others = [group for group in recurrences if sides[group.prefix] is None]
    if len(others) == 2 and not encoders and not decoders:
        encoders, decoders = others[:1], others[1:]
    elif others:
        encoders, decoders = encoders or others, decoders or others
    if not encoders or not decoders or len(encoders) + len(decoders) != len(recurrences):
        return None
    read, written = layers_of(encoders), layers_of(decoders)
    if read is None or written is None or written[0].directions != 1:
        return None
    for group in recurrences:
        parts.take(group)
    tables = _tables(parts, read[0], written[0], are_named=are_named, one_hot=one_hot)
    if tables is None:
        return None
    encoder = Reader(*read, tables[0].weight, encoders[0].name, tables[0].prefix or None)
    decoder = Reader(*written, tables[1].weight, decoders[0].name, tables[1].prefix or None)
    sizes = [(read[0].output_size, False)] + ([(read[0].hidden_size, True)] if read[0].directions == 2 else [])
    return likeliest(
        linked(encoder, decoder, parts.groups, memory=memory, is_summed=is_summed, may_be_tied=are_named)
        for memory, is_summed in sizes
    )


def likeliest(pairs: Iterable[Pair | None]) -> Pair | None:
    """The first of those with the least doubt."""
    return min((pair for pair in pairs if pair is not None), key=lambda pair: pair.doubt, default=None)


def reader_of(groups: Sequence[Group], table: Group) -> Reader | None:
    """These recurrences as one, over the ids of a table."""
    made = layers_of(groups)
    return None if made is None else Reader(*made, table.weight, groups[0].name, table.prefix)


def _with_vectors(groups: Sequence[Group]) -> list[Group]:
    """The groups, with each vector of its own (`attention.v`) as a layer of one output."""
    found: list[Group] = []
    for group in groups:
        if group.kind == "unknown" and all(
            tensor.numel() == max(tensor.shape, default=0) for tensor in group.tensors.values()
        ):
            for key, tensor in group.tensors.items():
                found.append(Group("linear", f"{group.prefix}{key}.", {"weight": tensor.reshape(1, -1)}))
        else:
            found.append(group)
    return found


def layers_of(groups: Sequence[Group]) -> tuple[Recurrence, Tensors] | None:
    """Recurrences one after the other, or cells, as the layers of one; None if they are not."""
    made = []
    for group in groups:
        tensors: Mapping[str, Tensor] = group.tensors
        if group.kind == "cell":
            tensors = {f"{key}_l0": tensor for key, tensor in tensors.items()}
        made.append((recurrence(tensors, ""), recurrent_weights(tensors, "")))
    if len(made) == 1:
        return made[0]
    all_of_them = [one for one, _ in made]
    is_one = len({one.hidden_size for one in all_of_them}) == 1 and is_stack(all_of_them)
    are_linked = all(after.input_size == before.output_size for before, after in pairwise(all_of_them))
    return stacked(made) if is_one and are_linked else None


def _tables(
    parts: _Parts, read: Recurrence, written: Recurrence, *, are_named: bool, one_hot: Sequence[int]
) -> tuple[Group, Group] | None:
    """The tables of source and target; one for both if it belongs to neither side; the identity for one-hot ids."""
    tables = [
        group
        for group in parts.groups
        if group.kind == "table" or (group.kind == "linear" and "bias" not in group.tensors)
    ]
    named = [group for group in tables if is_named_table(group.prefix)]
    tables = named or [group for group in tables if group.kind == "table"]
    sources = [group for group in tables if side_of(group.prefix) != "decoder" and group.inputs == read.input_size]
    targets = [group for group in tables if side_of(group.prefix) != "encoder" and group.inputs <= written.input_size]
    sources.sort(key=lambda group: side_of(group.prefix) != "encoder")
    source = sources[0] if sources else None
    targets = [group for group in targets if group is not source or len(targets) == 1]
    targets.sort(key=lambda group: side_of(group.prefix) != "decoder")
    target = targets[0] if targets else None
    if source is None and target is None:
        outputs = [
            group.outputs for group in parts.groups if group.kind == "linear" and group.outputs <= written.input_size
        ]
        if read.input_size not in one_hot or not outputs or outputs[-1] not in one_hot:
            return None
        return _identity(read.input_size), _identity(outputs[-1])
    if source is None or target is None:
        return None
    if source is target and not are_named:
        return None
    parts.take(source)
    if target is not source:
        parts.take(target)
    return source, target


def _identity(size: int) -> Group:
    return Group("table", "", {"weight": torch.eye(size)})
