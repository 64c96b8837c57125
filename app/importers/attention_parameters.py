"""Attention whose weights are bare parameters of a module, such as `self.w = nn.Parameter(torch.zeros(width))`, as the
linear layers that compute the same: scores = w . f(outputs), or v . f(outputs @ W + b)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.importers.structure import Group

MAY_ATTEND = ("score", "query", "key", "context")  # of layers of heads, too
_SURE = re.compile(r"(?:^|[^a-z])(?:att(?!r)|energy(?![a-z]))|attn|attention")
_ALONE = ("layer_norm", "convolution")  # kinds that a lone `attention.weight` has by its shape


def is_named_for_attention(prefix: str) -> bool:
    """Whether a word of a name is attention: `attn.`, `self_attention.`, `att_fc.`, but not `batter.`"""
    return _SURE.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", prefix).lower()) is not None


@dataclass(frozen=True)
class BareAttention:
    """`layers` are the key, which is the identity for scores of the outputs themselves, and the score. `groups` are the
    parts that they come from."""

    layers: Sequence[Group]
    groups: Sequence[Group]


def bare_attention(groups: Sequence[Group], width: int) -> BareAttention | None:
    """Attention over outputs of this width, if the only bare parameters among the groups are one."""
    bare = [group for group in groups if group.kind == "unknown" or _is_alone(group)]
    if len(bare) != 1:
        return None
    (group,) = bare
    vectors = {
        key: tensor.flatten() for key, tensor in group.tensors.items() if tensor.numel() == max(tensor.shape, default=0)
    }
    matrices = {key: tensor for key, tensor in group.tensors.items() if key not in vectors}
    if len(matrices) == 1:
        (matrix,) = matrices.values()
        key = _key_of(group, matrix, vectors, width)
        return None if key is None else BareAttention(key, [group])
    if matrices or len(vectors) != 1:
        return None
    (vector,) = vectors.values()
    score = _score(group, vector)
    for key_layer in _keys_for(groups, width, len(vector)):
        return BareAttention([key_layer, score], [group, key_layer])
    if len(vector) != width:
        return None
    identity = {"weight": torch.eye(width, dtype=vector.dtype), "bias": vector.new_zeros(width)}
    return BareAttention([Group("linear", f"{group.prefix}identity.", identity), score], [group])


def _is_alone(group: Group) -> bool:
    named = any(word in group.prefix.lower() for word in ("att", "energy", *MAY_ATTEND))
    return group.kind in _ALONE and named and len(group.tensors) == 1


def _key_of(group: Group, matrix: Tensor, vectors: Mapping[str, Tensor], width: int) -> list[Group] | None:
    """outputs @ matrix (+ bias), and the vector that scores them."""
    if matrix.dim() != 2 or matrix.shape[0] != width or any(len(v) != matrix.shape[1] for v in vectors.values()):
        return None
    biases = [key for key in vectors if "bias" in key.lower() or key.lower().rpartition(".")[2].startswith("b")]
    scores = [key for key in vectors if key not in biases]
    if len(scores) != 1 or len(biases) > 1:
        return None
    bias = vectors[biases[0]] if biases else matrix.new_zeros(matrix.shape[1])
    key = Group("linear", f"{group.prefix}key.", {"weight": matrix.T.contiguous(), "bias": bias})
    return [key, _score(group, vectors[scores[0]])]


def _keys_for(groups: Sequence[Group], width: int, size: int) -> Iterator[Group]:
    """A linear layer from the outputs to a vector's size, where another layer reads the outputs, too."""
    readers = [group for group in groups if group.kind in ("linear", "table") and group.inputs == width]
    yield from (group for group in readers if group.outputs == size and len(readers) > 1)


def _score(group: Group, vector: Tensor) -> Group:
    return Group("linear", f"{group.prefix}score.", {"weight": vector.unsqueeze(0), "bias": vector.new_zeros(1)})
