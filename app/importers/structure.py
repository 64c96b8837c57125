"""The parts of a PyTorch network, recognised by the names and shapes of `torch.nn`'s parameters under any prefix."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from app.importers.checkpoint import Tensors
from app.importers.parts import prefixed, recurrence
from app.store.recurrence import Recurrence

Kind = Literal["recurrence", "cell", "table", "linear", "norm", "layer_norm", "convolution", "image", "crf", "unknown"]
_RECURRENT = re.compile(r"((?:.*\.)?)(?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?$")
_CELL = re.compile(r"((?:.*\.)?)(?:weight|bias)_(?:ih|hh)$")
_CRF = re.compile(r"((?:.*\.)?)(?:start_|end_)?transitions$")
_TABLES = ("emb", "lut", "wte", "lookup", "word_vec")


@dataclass(frozen=True, eq=False)
class Group:
    """The tensors of a part, without its prefix. `prefix` ends in a dot, unless it is empty."""

    kind: Kind
    prefix: str
    tensors: Tensors

    @property
    def name(self) -> str:
        return self.prefix.removesuffix(".") or "(the network itself)"

    @property
    def weight(self) -> Tensor:
        return self.tensors["weight"]

    @property
    def inputs(self) -> int:
        """Inputs of a linear layer; columns of a table."""
        return int(self.weight.shape[1])

    @property
    def outputs(self) -> int:
        """Outputs of a linear layer, a norm or a convolution; rows of a table."""
        return int(self.weight.shape[0])

    def describe(self) -> str:
        shapes = ", ".join(f"{key} {' x '.join(map(str, tensor.shape)) or '1'}" for key, tensor in self.tensors.items())
        return f"{self.name} ({self.kind}: {shapes})"


@dataclass(frozen=True)
class Structure:
    """The parts of a state dict in its order, which is that in which a module defines them."""

    tensors: Tensors
    groups: Sequence[Group]
    unknown: Sequence[str] = field(default=())

    def of(self, *kinds: Kind) -> list[Group]:
        return [group for group in self.groups if group.kind in kinds]

    def recurrence(self, group: Group, *, nonlinearity: str = "tanh") -> Recurrence:
        """The architecture of a recurrent group. Raises ImportFailed if it is none that torch.nn has."""
        return recurrence(prefixed(group.tensors, group.prefix), group.prefix, nonlinearity=nonlinearity)


def structure_of(tensors: Tensors) -> Structure:
    """Tensors that share a prefix belong together."""
    groups: list[Group] = []
    unknown: list[str] = []
    for prefix, mine in _by_prefix(tensors):
        kind = _kind(prefix, mine)
        if kind == "unknown":
            unknown += [prefix + key for key in mine]
        groups.append(Group(kind, prefix, mine))
    return Structure(tensors, groups, unknown)


def with_layers(tensors: Tensors) -> Tensors:
    """With each nn.LSTMCell, nn.GRUCell or nn.RNNCell as a layer of one: over the steps of a source it computes what
    nn.LSTM, nn.GRU or nn.RNN do."""
    return {f"{key}_l0" if _CELL.fullmatch(key) else key: tensor for key, tensor in tensors.items()}


def _by_prefix(tensors: Tensors) -> Iterator[tuple[str, dict[str, Tensor]]]:
    found: dict[str, dict[str, Tensor]] = {}
    for key in tensors:
        match = _RECURRENT.fullmatch(key) or _CELL.fullmatch(key) or _CRF.fullmatch(key)
        prefix = match.group(1) if match else key[: key.rfind(".") + 1]
        found.setdefault(prefix, {})[key.removeprefix(prefix)] = tensors[key]
    yield from found.items()


def _kind(prefix: str, mine: Mapping[str, Tensor]) -> Kind:
    if "weight_ih_l0" in mine:
        return "recurrence" if _is_recurrence(mine) else "unknown"
    if "weight_ih" in mine:
        return "cell"
    if any(_CRF.fullmatch(key) for key in mine):
        return "crf" if _is_crf(mine) else "unknown"
    weight = mine.get("weight")
    if weight is None or not mine.keys() <= {
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }:
        return "unknown"
    if "running_mean" in mine:
        return "norm"
    if weight.dim() == 2:
        return "table" if "bias" not in mine and _is_table(prefix, weight) else "linear"
    kinds: dict[int, Kind] = {1: "layer_norm", 3: "convolution", 4: "image"}
    return kinds.get(weight.dim(), "unknown")


def _is_crf(mine: Mapping[str, Tensor]) -> bool:
    """Whether it has the transitions of pytorch-crf or of the tutorial, and nothing that forbids some of them."""
    keys = set(mine)
    if "_constraint_mask" in keys and bool((mine["_constraint_mask"] == 1).all()):  # of AllenNLP
        keys.remove("_constraint_mask")
    matrix = mine.get("transitions")
    if matrix is None or matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        return False
    return keys in ({"transitions"}, {"transitions", "start_transitions", "end_transitions"})


def _is_recurrence(mine: Mapping[str, Tensor]) -> bool:
    """Whether the shapes are those of an RNN, GRU or LSTM of torch.nn, without projections of its outputs."""
    if "weight_hh_l0" not in mine or any("_hr_" in key for key in mine):
        return False
    read, kept = mine["weight_ih_l0"], mine["weight_hh_l0"]
    if read.dim() != 2 or kept.dim() != 2 or not kept.shape[1]:
        return False
    return kept.shape[0] % kept.shape[1] == 0 and kept.shape[0] // kept.shape[1] in (1, 3, 4)


def is_named_table(prefix: str) -> bool:
    """Whether a part has the name of an embedding."""
    return any(word in prefix.lower() for word in _TABLES)


def _is_table(prefix: str, weight: Tensor) -> bool:
    """Whether a matrix without bias is an embedding, rather than a linear layer: by its name, or by more rows than
    columns. What reads it decides later."""
    return is_named_table(prefix) or weight.shape[0] > weight.shape[1]
