"""An encoder-decoder recognised by its shapes and links: tables, recurrences, output layer, and what is between them.

An encoder of images has no recurrence: its features are the memory and the summary."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, permutations
from typing import Literal

import torch
from torch import Tensor

from app.importers.checkpoint import Tensors
from app.importers.pair_attention import PairAttention, attention_among
from app.importers.parts import recurrence, recurrent_weights
from app.importers.stacks import is_stack, stacked
from app.importers.structure import Group, Structure, structure_of
from app.store.recurrence import Recurrence

Side = Literal["encoder", "decoder"]
ReadoutPart = Literal["hidden", "context", "embedding"]
_SIDE = re.compile(r"(?:^|[^a-z])(enc|src|source|dec|tgt|trg|target)")
_ENCODERS = ("enc", "src", "source")
_TABLE_NAMES = ("emb", "lut", "lookup", "word_vec")
_COMBINES = ("combine", "concat", "input", "merge")
_BRIDGES = ("bridge", "init", "enc2dec", "h2h", "reduce", "encoder", "hidden", "cell", "state")


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


@dataclass
class _Parts:
    """The groups of a checkpoint that have no role yet, in their order."""

    structure: Structure
    groups: list[Group] = field(default_factory=list)

    def take(self, group: Group) -> Group:
        self.groups = [other for other in self.groups if other is not group]
        return group


def side_of(prefix: str) -> Side | None:
    """The side that the names of a prefix say, the outermost first."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", prefix).lower()
    found = _SIDE.search(words)
    return None if found is None else "encoder" if found.group(1) in _ENCODERS else "decoder"


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
    named = [group for group in tables if any(word in group.prefix.lower() for word in _TABLE_NAMES)]
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


def linked(
    encoder: Reader | None,
    decoder: Reader,
    groups: Sequence[Group],
    *,
    memory: int,
    is_summed: bool = False,
    may_be_tied: bool = True,
) -> Pair | None:
    """The pair with a memory of this width, if each of the other groups has a place."""
    rest = list(groups)
    if any(group.kind not in ("linear", "table") for group in rest):
        return None
    outputs = [group for group in rest if group.outputs == decoder.rows and side_of(group.prefix) != "encoder"]
    plain = [group for group in outputs if not any(word in group.prefix.lower() for word in ("att", "energy"))]
    output = (plain or outputs)[-1] if outputs else None
    if output is None and not may_be_tied:
        return None
    rest = [group for group in rest if group is not output]
    width, size = decoder.recurrence.hidden_size, int(decoder.table.shape[1])
    attention, rest = attention_among(rest, hidden=width, memory=memory, embedding=size)
    read = output.inputs if output is not None else size
    pair = Pair(encoder, decoder, memory, is_summed, attention, (), None, None, output, (), ())
    for combine, readout, bridge in _roles(pair, rest, read):
        made = replace(pair, combine=combine, readout=readout, bridge=bridge)
        gets = _gets(made)
        reads = _reads(made, readout.inputs if readout is not None else read, gets)
        if gets and reads:
            doubt = _unlikely((combine, readout, bridge)) + 2 * (output is None)
            return replace(made, gets=gets, reads=reads, doubt=doubt)
    return None


_Roles = tuple[Group | None, Group | None, Sequence[Group]]


def _roles(pair: Pair, rest: Sequence[Group], read: int) -> list[_Roles]:
    """Each way to give all groups of `rest` a place by their sizes: a layer before the recurrence, one after it, and
    the bridge. The likeliest by their names is first."""
    combines = [None, *(group for group in rest if _fits_combine(pair, group))]
    readouts = [None, *(group for group in rest if group.outputs == read)]
    found: list[_Roles] = []
    for combine in combines:
        for readout in readouts:
            if combine is readout and combine is not None:
                continue
            left = [group for group in rest if group is not combine and group is not readout]
            if _fit_bridge(pair, left):
                found.append((combine, readout, left))
    return sorted(found, key=_unlikely)


def _unlikely(roles: _Roles) -> int:
    combine, readout, bridge = roles
    doubts = [
        combine is not None and not _is_named(combine, _COMBINES),
        readout is not None and side_of(readout.prefix) == "encoder",
        *(not _is_named(group, _BRIDGES) for group in bridge),
    ]
    return sum(doubts)


def _is_named(group: Group, words: Sequence[str]) -> bool:
    return any(word in group.prefix.lower() for word in words)


def _fits_combine(pair: Pair, group: Group) -> bool:
    recurrent = pair.decoder.recurrence
    return group.inputs == pair.embedding_size + pair.memory and group.outputs == recurrent.input_size


def _fit_bridge(pair: Pair, groups: Sequence[Group]) -> bool:
    """Whether these are layers on the last states of the encoder: one, or one for each state of an LSTM."""
    recurrent = pair.decoder.recurrence
    states = 2 if recurrent.cell == "lstm" else 1
    inputs = pair.memory if pair.encoder is None else pair.encoder.recurrence.output_size
    widths = (recurrent.hidden_size, recurrent.hidden_size * recurrent.layers)
    return len(groups) <= states and all(group.inputs == inputs and group.outputs in widths for group in groups)


def _gets(pair: Pair) -> list[Literal["nothing", "context", "fed"]]:
    """What the decoder's recurrence may read beside an embedding."""
    if pair.combine is not None:
        return ["context"]
    more = pair.decoder.recurrence.input_size - pair.embedding_size
    if not more:
        return ["nothing"]
    found: list[Literal["nothing", "context", "fed"]] = []
    if pair.readout is not None and more == pair.readout.outputs:
        found.append("fed")
    if more == pair.memory:
        found.append("context")
    return found


def _reads(pair: Pair, width: int, gets: Sequence[str]) -> list[tuple[ReadoutPart, ...]]:
    """The parts with this width together, in every order, the usual one first."""
    sizes: dict[ReadoutPart, int] = {
        "hidden": pair.hidden_size,
        "context": pair.memory,
        "embedding": pair.embedding_size,
    }
    needs_context = pair.attention is not None and "context" not in gets
    chosen: list[tuple[ReadoutPart, ...]] = []
    for several in (1, 2, 3):
        for parts in permutations(sizes, several):
            fits = "hidden" in parts and sum(sizes[part] for part in parts) == width
            if fits and ("context" in parts or not needs_context):
                chosen.append(parts)
    return sorted(chosen, key=lambda parts: "context" not in parts and len(parts) > 1)
