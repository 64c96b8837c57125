"""fastai's AWD-LSTM by its names: an embedding, LSTMs with dropped weights, and a head (versions 1 and 2).

A dropped weight lies beside its module: `rnns.0.weight_hh_l0_raw` is that of `rnns.0.module.weight_hh_l0`, which newer
files leave out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.parts import recurrence, recurrent_weights, under
from app.importers.stacks import Layer

_RAW = re.compile(r"(.*rnns\.)\d+\.weight_hh_l0_raw")
_DROPPED = re.compile(r"(\d+)\.(?:module\.)?(.+)")


@dataclass(frozen=True)
class AwdLstm:
    """The encoder, and all that is after it, without prefix."""

    embedding: Tensor
    layers: Sequence[Layer]
    head: Tensors


def awd_lstm_in(checkpoint: Checkpoint) -> AwdLstm | None:
    """None if the checkpoint has no AWD-LSTM. Its head may be empty."""
    tensors = checkpoint.single or {}
    start = next((match[1] for key in tensors if (match := _RAW.fullmatch(key))), None)
    if start is None:
        return None
    prefix = start.removesuffix("rnns.")
    embedding = tensors.get(f"{prefix}encoder.weight")
    if embedding is None:
        return None
    weights: dict[int, dict[str, Tensor]] = {}
    for key, tensor in under(tensors, start).items():
        if match := _DROPPED.fullmatch(key):
            mine = weights.setdefault(int(match[1]), {})
            name = match[2].removesuffix("_raw")
            if match[2].endswith("_raw") or name not in mine:
                mine[name] = tensor
    layers = [_layer(weights[number]) for number in sorted(weights) if "weight_hh_l0" in weights[number]]
    if len(layers) != len(weights):
        return None
    top = prefix[: prefix.find(".") + 1]
    return AwdLstm(embedding, layers, {key: tensor for key, tensor in tensors.items() if not key.startswith(top)})


def _layer(mine: Tensors) -> Layer:
    return recurrence(mine, ""), recurrent_weights(mine, "")


@dataclass(frozen=True)
class HeadBlock:
    """Batch normalisation, and a linear layer after it."""

    norm: Tensors
    linear: Tensors


def head_of(awd: AwdLstm) -> list[HeadBlock] | None:
    """The blocks of the pooling classifier: `1.layers.0.0` and `1.layers.0.2` (2), or `1.layers.0` and `1.layers.2`
    (1). None if the head is of another kind."""
    places: dict[tuple[int, ...], dict[str, Tensor]] = {}
    for key, tensor in awd.head.items():
        match = re.fullmatch(r"\d+\.layers\.((?:\d+\.)+)(\w+)", key)
        if match is None:
            return None
        places.setdefault(tuple(map(int, match[1].split(".")[:-1])), {})[match[2]] = tensor
    parts = [places[place] for place in sorted(places)]
    norms, linears = parts[::2], parts[1::2]
    fit = len(norms) == len(linears) > 0 and all("running_mean" in norm for norm in norms)
    if not fit or any("running_mean" in part or part["weight"].dim() != 2 for part in linears):
        return None
    return [HeadBlock(norm, linear) for norm, linear in zip(norms, linears, strict=True)]


def missing_of(checkpoint: Checkpoint) -> str | None:
    """The missing part where the file is fastai's encoder alone."""
    awd = awd_lstm_in(checkpoint)
    if awd is None or awd.head:
        return None
    return (
        "this is the encoder of a learner of fastai (learn.save_encoder), without the head that answers: give the file "
        "of learn.save('NAME'), which has encoder and head, and the vocabulary (learn.dls.vocab)"
    )
