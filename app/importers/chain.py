"""A network of one chain: what it reads, recurrences one after the other, perhaps attention, and a head."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch

from app.importers.attention_parameters import MAY_ATTEND, bare_attention, is_named_for_attention
from app.importers.pairs import side_of
from app.importers.structure import Group, Structure, is_named_table

LARGEST_CAT = 3  # poolings side by side; a wider head reads all steps side by side
_LAYERS = ("linear", "table", "convolution")


@dataclass(frozen=True)
class HeadLayer:
    """A linear layer, and batch normalisation `before` or `after` it."""

    linear: Group
    norm: Group | None = None
    norm_at: Literal["before", "after"] = "after"


@dataclass(frozen=True)
class Chain:
    """`table` is an embedding. `front` are linear layers, norms and convolutions before the first recurrence, `between`
    norms before the recurrence of that number (from 1), `back` norms over the outputs of the last one. `leftover` has
    no place. `is_bare`: the attention's weights are parameters of the module itself."""

    structure: Structure
    table: Group | None
    front: Sequence[Group]
    recurrences: Sequence[Group]
    between: dict[int, list[Group]]
    back: Sequence[Group]
    attention: Sequence[Group]
    head: Sequence[HeadLayer]
    crf: Group | None
    leftover: Sequence[Group]
    is_bare: bool = False

    @property
    def embedding(self) -> Group:
        """The table of a network that reads texts. One-hot inputs are the rows of the identity."""
        return self.table or Group("table", "", {"weight": torch.eye(self.features)})

    @property
    def width(self) -> int:
        """Features of an output of the last recurrence, both directions together."""
        return self.structure.recurrence(self.recurrences[-1]).output_size

    @property
    def front_layers(self) -> list[tuple[Group, Group | None]]:
        """The layers of `front`, each with the norm behind it: the next one of its size that no other has. A norm
        before the first layer stands alone."""
        found: list[tuple[Group, Group | None]] = []
        used: set[Group] = set()
        for place, group in enumerate(self.front):
            if group.kind in _LAYERS:
                after = (
                    norm
                    for norm in self.front[place + 1 :]
                    if norm.kind not in _LAYERS and norm.outputs == group.outputs and norm not in used
                )
                norm = next(after, None)
                used |= {norm} if norm is not None else set()
                found.append((group, norm))
            elif group not in used:
                found.append((group, None))
        return found

    @property
    def directions(self) -> int:
        return self.structure.recurrence(self.recurrences[-1]).directions

    @property
    def features(self) -> int:
        """Numbers of a step of the source, or of an embedding."""
        first = next((group for group in self.front if group.kind in ("linear", "convolution")), None)
        if first is not None:
            return int(first.weight.shape[1])
        return self.structure.recurrence(self.recurrences[0]).input_size

    @property
    def pooled(self) -> int:
        """What the head reads."""
        return self.head[0].linear.inputs

    @property
    def outputs(self) -> int:
        return self.head[-1].linear.outputs

    @property
    def is_tied(self) -> bool:
        """Whether the output layer has the weights of the embedding."""
        last = self.head[-1].linear.weight if self.head else None
        table = self.table.weight if self.table else None
        return (
            last is not None and table is not None and last.shape == table.shape and bool((last == table).all().item())
        )


def chain_of(structure: Structure) -> Chain | None:
    """None if the parts do not make one chain."""
    recurrences = structure.of("recurrence")
    if not recurrences or not _are_linked(structure, recurrences) or structure.of("cell"):
        return None
    order = {group.prefix: number for number, group in enumerate(structure.groups)}
    first, last = (order[recurrences[place].prefix] for place in (0, -1))
    crfs = structure.of("crf")
    crf = crfs[0] if crfs else None
    rest = [group for group in structure.groups if group.kind != "recurrence" and group is not crf]
    input_size = structure.recurrence(recurrences[0]).input_size
    table = _table(rest, input_size)
    rest = [group for group in rest if group is not table]
    before = [group for group in rest if order[group.prefix] < first]
    front = _front(before, input_size, table)
    between: dict[int, list[Group]] = {}
    for place in range(1, len(recurrences)):
        low, high = (order[recurrences[number].prefix] for number in (place - 1, place))
        size = structure.recurrence(recurrences[place]).input_size
        mine = [g for g in rest if low < order[g.prefix] < high and g.kind in ("norm", "layer_norm")]
        between[place] = [group for group in mine if group.outputs == size]
    used = {id(group) for group in (*front, *(group for groups in between.values() for group in groups))}
    rest = [group for group in rest if id(group) not in used]
    width = structure.recurrence(recurrences[-1]).output_size
    bare = bare_attention(rest, width)
    attention = bare.layers if bare is not None else _attention(rest, width)
    used = {id(group) for group in (bare.groups if bare is not None else attention)}
    rest = [group for group in rest if id(group) not in used]
    norms = [
        group
        for group in rest
        if group.kind in ("norm", "layer_norm") and group.outputs == width and order[group.prefix] > last
    ]
    first_linear = min((order[group.prefix] for group in rest if group.kind in ("linear", "table")), default=0)
    ahead = [group for group in norms if order[group.prefix] < first_linear]
    directions = structure.recurrence(recurrences[-1]).directions
    head, rest = _head([group for group in rest if group not in ahead], width, directions)
    back = [*ahead, *(group for group in norms if group not in ahead and group in rest)]
    if head:  # over several poolings side by side
        pooled = [g for g in rest if g.kind in ("norm", "layer_norm") and g not in back and order[g.prefix] > last]
        back += [group for group in pooled if group.outputs == head[0].linear.inputs != width]
    rest = [group for group in rest if group not in back]
    if not head:
        return None
    return Chain(structure, table, front, recurrences, between, back, attention, head, crf, rest, bare is not None)


def _are_linked(structure: Structure, recurrences: Sequence[Group]) -> bool:
    """Whether each recurrence reads the outputs of the one before."""
    made = [structure.recurrence(group) for group in recurrences]
    sides = {side_of(group.prefix) for group in recurrences}
    is_pair = len(made) > 1 and (
        sides >= {"encoder", "decoder"} or any(group.prefix.startswith(("decoder.", "dec.")) for group in recurrences)
    )
    return not is_pair and all(after.input_size == before.output_size for before, after in pairwise(made))


def _table(groups: Sequence[Group], input_size: int) -> Group | None:
    """The embedding: as many columns as the first part that reads it has inputs."""
    readers = {input_size, *(int(group.weight.shape[1]) for group in groups if group.kind == "convolution")}
    candidates = [group for group in groups if group.kind == "table" and group.inputs in readers]
    named = [group for group in candidates if is_named_table(group.prefix) or "encoder" in group.prefix.lower()]
    chosen = named or candidates
    return max(chosen, key=lambda group: group.outputs, default=None)


def _front(before: Sequence[Group], input_size: int, table: Group | None) -> list[Group]:
    """The chain of layers that ends in the input of the first recurrence, and the norms of its sizes, in the order in
    which the module defines them."""
    chain: list[Group] = []
    wanted = input_size
    for group in reversed(before):
        if group.kind in _LAYERS and group.outputs == wanted:
            chain.append(group)
            wanted = group.inputs
    if table is not None and wanted != table.inputs:
        return []
    sizes, layers = {wanted, *(group.outputs for group in chain)}, set(chain)
    return [g for g in before if g in layers or (g.kind in ("norm", "layer_norm") and g.outputs in sizes)]


def _attention(groups: Sequence[Group], width: int) -> list[Group]:
    """The layers of attention over the outputs: by name, or as layers from the outputs to one score where another layer
    reads the outputs, too."""
    linears = [group for group in groups if group.kind in ("linear", "table")]
    sure = [group for group in linears if is_named_for_attention(group.prefix)]
    named = sure or [
        g for g in linears if any(word in g.prefix.lower() for word in MAY_ATTEND) and not _ends(g, linears)
    ]
    if len(named) == 1:
        named = _both_layers(named[0], linears, width)
    others = [group for group in linears if group not in named]
    if named and not any(group.inputs % width == 0 for group in others):
        return []
    if named:
        return named if _is_attention(named, width) else []
    for score in linears:
        if score.outputs == 1 and score.inputs == width and score is not linears[-1]:
            return [score]
        key = next((g for g in linears if g is not score and g.inputs == width and g.outputs == score.inputs), None)
        readers = [group for group in linears if group.inputs == width and group not in (key, score)]
        if score.outputs == 1 and key is not None and readers and not _ends(score, linears):
            return [key, score]
    return []


def _both_layers(named: Group, linears: Sequence[Group], width: int) -> list[Group]:
    """The layer that is named for attention and the other one of its two, whose name may be any: a score behind a key
    (`attention` and `context_vector`), or a key before a score."""
    rest = [group for group in linears if group is not named]
    if named.inputs == width and named.outputs > 1:
        scores = [group for group in rest if group.outputs == 1 and group.inputs == named.outputs]
        behind = [group for group in scores if linears.index(group) > linears.index(named)]
        score = next((group for group in behind or scores if not _ends(group, rest)), None)
        return [named, score] if score is not None else [named]
    if named.outputs == 1 and named.inputs != width:
        keys = [group for group in rest if group.inputs == width and group.outputs == named.inputs]
        return [keys[0], named] if len(keys) == 1 else [named]
    return [named]


def _ends(score: Group, linears: Sequence[Group]) -> bool:
    """Whether a layer may be the last one of the head: it is the last one, and reads one before it."""
    return score is linears[-1] and any(group.outputs == score.inputs for group in linears[:-1])


def _is_attention(named: Sequence[Group], width: int) -> bool:
    if len(named) == 1:
        return named[0].outputs == 1 and named[0].inputs == width
    key, score = named[0], named[-1]
    return len(named) == 2 and key.inputs == width and score.inputs == key.outputs and score.outputs == 1


def _head(groups: Sequence[Group], width: int, directions: int) -> tuple[list[HeadLayer], list[Group]]:
    """The linear layers in order, each reading the one before, with their norms; and the groups that are not in it."""
    linears = [group for group in groups if group.kind in ("linear", "table")]
    chain: list[Group] = []
    for group in linears:
        if not chain or group.inputs == chain[-1].outputs:
            chain.append(group)
    if not chain or (chain[0].inputs % width and (directions == 1 or chain[0].inputs * 2 != width)):
        return [], list(groups)
    norms = [group for group in groups if group.kind == "norm"]
    place = {id(group): number for number, group in enumerate(groups)}
    layers, used = [], {id(group) for group in chain}
    for number, linear in enumerate(chain):
        after = next(
            (
                n
                for n in norms
                if n.outputs == linear.outputs and id(n) not in used and place[id(n)] > place[id(linear)]
            ),
            None,
        )
        before = next((n for n in norms if n.outputs == linear.inputs and id(n) not in used), None)
        is_last = number == len(chain) - 1
        if after is not None and not is_last:
            layers.append(HeadLayer(linear, after))
            used.add(id(after))
        elif before is not None and not is_last:
            layers.append(HeadLayer(linear, before, "before"))
            used.add(id(before))
        else:
            layers.append(HeadLayer(linear))
    return layers, [group for group in groups if id(group) not in used]
