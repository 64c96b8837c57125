"""Convolutions of a series network that are no plain chain: residual blocks before the recurrence, or a branch of
convolutions beside it. Strides and the order of concatenation stand in no tensor."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.parts import prefixed, under
from app.importers.structure import Group, structure_of
from app.store.block import Block

_BLOCK = re.compile(r"((?:.*\.)?)conv1\.weight")
_DOT = re.compile(r"\.")
_SHORTCUTS = ("downsample", "shortcut", "skip", "residual", "identity")
_LATER = re.compile(r"(?:layer|stage)s?_?(\d+)\.(\d+)\.$")


@dataclass(frozen=True)
class ResidualBlock:
    """`kernels` of its convolutions; `tensors` by our names. `starts_stage`: it begins a stage after the first, whose
    first block usually halves the number of steps."""

    kernels: tuple[int, ...]
    inputs: int
    width: int
    tensors: Tensors
    has_shortcut: bool
    starts_stage: bool


@dataclass(frozen=True)
class Residual:
    """Residual blocks, perhaps a stem before them, and the checkpoint without them."""

    stem: Group | None
    stem_norm: Group | None
    blocks: Sequence[ResidualBlock]
    rest: Checkpoint

    @property
    def channels(self) -> int:
        """Features of a step of the source."""
        return self.stem.inputs if self.stem is not None else self.blocks[0].inputs


@dataclass(frozen=True)
class Branch:
    """Convolutions with batch normalisation beside a recurrence, whose averages the head reads, too. `head` is the
    layer over both. The checkpoint is without the branch: its head reads the recurrence alone, `size` numbers."""

    layers: Sequence[tuple[Group, Group]]
    head: Group
    size: int
    rest: Checkpoint

    @property
    def channels(self) -> int:
        return self.layers[0][0].inputs

    @property
    def width(self) -> int:
        return self.layers[-1][0].outputs


def residual_in(checkpoint: Checkpoint) -> Residual | None:
    """None if there are no residual blocks over time, or parts of them are unknown."""
    tensors = checkpoint.single
    if tensors is None or not any(tensor.dim() == 3 for tensor in tensors.values()):
        return None
    prefixes = [
        match[1] for key in tensors if (match := _BLOCK.fullmatch(key)) and f"{match[1]}conv2.weight" in tensors
    ]
    parts = _parts(tensors, prefixes)
    blocks = [_block(prefix, mine) for prefix, mine in parts.items()]
    found = [block for block in blocks if block is not None]
    if not found or len(found) < len(blocks) or not (len(found) > 1 or _is_named(prefixes[0], found[0])):
        return None
    used = {prefix + key for prefix, mine in parts.items() for key in mine}
    rest = {key: tensor for key, tensor in tensors.items() if key not in used}
    groups = structure_of(rest).groups
    stem = next((group for group in groups if group.kind == "convolution"), None)
    norm = _norms_behind(groups, [stem])[0] if stem is not None else None
    if stem is not None:
        if norm is None or stem.outputs != found[0].inputs:
            return None
        rest = {key: tensor for key, tensor in rest.items() if not key.startswith((stem.prefix, norm.prefix))}
    return Residual(stem, norm, found, _with(checkpoint, rest))


def _parts(tensors: Tensors, prefixes: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """The tensors under each prefix, without the prefix, in one pass over all keys."""
    found: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in prefixes}
    for key, tensor in tensors.items():
        for start in (0, *(dot.end() for dot in _DOT.finditer(key))):
            if key[:start] in found:
                found[key[:start]][key[start:]] = tensor
    return found


def _is_named(prefix: str, block: ResidualBlock) -> bool:
    """Whether two convolutions alone are a residual block, rather than one after the other."""
    return block.has_shortcut or any(word in prefix.lower() for word in ("layer", "stage", "block", "res"))


def _block(prefix: str, mine: Tensors) -> ResidualBlock | None:
    """None for a bottleneck, and for a block with other parts than convolutions, their norms and a shortcut."""
    shortcut = next((name for name in _SHORTCUTS if any(key.startswith(f"{name}.") for key in mine)), None)
    count = max(int(key[4]) for key in mine if re.fullmatch(r"conv\d\.weight", key))
    tensors: dict[str, Tensor] = {}
    for number in range(1, count + 1):
        convolution, norm = under(mine, f"conv{number}."), under(mine, f"bn{number}.") or under(mine, f"norm{number}.")
        if "weight" not in convolution or "running_mean" not in norm:
            return None
        tensors |= normalised(f"conv{number}.", f"bn{number}.", convolution, norm)
    if shortcut is not None:
        convolution, norm = under(mine, f"{shortcut}.0."), under(mine, f"{shortcut}.1.")
        if "weight" not in convolution or "running_mean" not in norm or convolution["weight"].shape[2] != 1:
            return None
        tensors |= normalised("downsample.0.", "downsample.1.", convolution, norm)
    known = sum(key.startswith(("conv", "bn", "norm", f"{shortcut}.")) for key in mine)
    first = mine["conv1.weight"]
    widths = {int(mine[f"conv{number}.weight"].shape[0]) for number in range(1, count + 1)}
    changes = int(first.shape[1]) not in widths
    if known < len(mine) or len(widths) > 1 or (changes and shortcut is None):
        return None
    place = _LATER.search(prefix)
    return ResidualBlock(
        kernels=tuple(int(mine[f"conv{number}.weight"].shape[2]) for number in range(1, count + 1)),
        inputs=int(first.shape[1]),
        width=widths.pop(),
        tensors=tensors,
        has_shortcut=shortcut is not None,
        starts_stage=shortcut is not None and place is not None and place[2] == "0" and place[1] not in ("0", "1"),
    )


def branch_in(checkpoint: Checkpoint) -> Branch | None:
    """None unless the head reads the recurrence and the last convolution side by side."""
    tensors = checkpoint.single
    groups = structure_of(tensors).groups if tensors is not None else ()
    recurrences = [group for group in groups if group.kind == "recurrence"]
    convolutions = [group for group in groups if group.kind == "convolution"]
    if tensors is None or not convolutions or len(recurrences) != 1:
        return None
    norms = _norms_behind(groups, convolutions)
    layers = [(convolution, norm) for convolution, norm in zip(convolutions, norms, strict=True) if norm is not None]
    linked = all(a.outputs == b.inputs for a, b in pairwise(convolutions))
    width = structure_of(tensors).recurrence(recurrences[0]).output_size
    both = width + convolutions[-1].outputs
    head = next((group for group in groups if group.kind in ("linear", "table") and group.inputs == both), None)
    if head is None or not linked or len(layers) < len(convolutions):
        return None
    used = tuple(group.prefix for layer in layers for group in layer)
    rest = {key: tensor for key, tensor in tensors.items() if not key.startswith(used)}
    rest[f"{head.prefix}weight"] = head.weight[:, :width]
    return Branch(layers, head, width, _with(checkpoint, rest))


def in_order(branch: Branch, *, recurrent_first: bool) -> tuple[Branch, Tensor]:
    """The branch, whose checkpoint has the columns of the head that read the recurrence, and the other columns."""
    weight, size = branch.head.weight, branch.size
    if recurrent_first:
        return branch, weight[:, size:]
    (network,) = branch.rest.networks.values()
    rest = _with(branch.rest, {**network, f"{branch.head.prefix}weight": weight[:, branch.width :]})
    return replace(branch, rest=rest), weight[:, : branch.width]


def normalised(conv: str, norm: str, convolution: Tensors, mine: Tensors) -> dict[str, Tensor]:
    """A convolution without a bias, and its norm, whose mean takes the bias in: by these names."""
    mean, weight = mine["running_mean"], convolution["weight"]
    tensors = {
        "weight": mine.get("weight", torch.ones_like(mean)),
        "bias": mine.get("bias", torch.zeros_like(mean)),
        "running_mean": mean - convolution.get("bias", torch.zeros_like(mean)),
        "running_var": mine["running_var"],
        "num_batches_tracked": torch.tensor(0),
    }
    return {f"{conv}weight": weight, **prefixed(tensors, norm)}


def block_of(
    layer: tuple[Group, Group], *, stride: int = 1, pool: int | None = None
) -> tuple[Block, Mapping[str, Tensor]]:
    """One convolution with its norm and relu as a block, and its tensors."""
    convolution, norm = layer
    width, _, kernel = convolution.weight.shape
    block = Block.model_validate({"kind": "plain", "width": width, "kernels": [kernel], "stride": stride, "pool": pool})
    return block, normalised("conv1.", "bn1.", convolution.tensors, norm.tensors)


def _norms_behind(groups: Sequence[Group], convolutions: Sequence[Group]) -> list[Group | None]:
    """The norm of each convolution: the next one of its width that no other has."""
    places = {group: place for place, group in enumerate(groups)}
    norms: dict[int, list[Group]] = {}
    for group in reversed(groups):
        if group.kind == "norm":
            norms.setdefault(group.outputs, []).append(group)
    found: list[Group | None] = []
    for convolution in convolutions:  # in the order of the groups: a norm before one is before all later ones
        mine = norms.get(convolution.outputs, [])
        while mine and places[mine[-1]] < places[convolution]:
            mine.pop()
        found.append(mine.pop() if mine else None)
    return found


def _with(checkpoint: Checkpoint, tensors: Tensors) -> Checkpoint:
    (path,) = checkpoint.networks
    return replace(checkpoint, networks={path: tensors})
