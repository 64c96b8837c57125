"""Parts of foreign networks by our names: embeddings, recurrences, linear layers."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.store.decoder import Decoder
from app.store.recurrence import CELLS, CellKind, Recurrence

_RECURRENT = re.compile(r"(?:weight|bias)_(?:ih|hh)_l\d+(?:_reverse)?")
_CELLS: dict[int, CellKind] = {CELLS[kind].blocks: kind for kind in ("lstm", "gru", "rnn_tanh")}  # of torch.nn


def pair(
    checkpoint: Checkpoint, is_encoder: Callable[[Tensors], bool], is_decoder: Callable[[Tensors], bool]
) -> tuple[Tensors, Tensors] | None:
    """Encoder and decoder of two state dicts, in any order; None if they are something else."""
    if len(checkpoint.networks) == 2:
        one, other = checkpoint.networks.values()
        for encoder, decoder in ((one, other), (other, one)):
            if is_encoder(encoder) and is_decoder(decoder):
                return encoder, decoder
    return None


def as_sides(checkpoint: Checkpoint) -> list[Tensors]:
    """The state dict of an encoder-decoder; of two state dicts both ways to be `encoder.` and `decoder.`; else none."""
    networks = list(checkpoint.networks.values())
    if len(networks) == 1:
        return networks
    ways = (networks, networks[::-1]) if len(networks) == 2 else ()
    return [prefixed(encoder, "encoder.") | prefixed(decoder, "decoder.") for encoder, decoder in ways]


def under(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without the prefix."""
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def prefixed(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """The tensors with a prefix before their names."""
    return {prefix + key: tensor for key, tensor in tensors.items()}


def has(tensors: Tensors, *keys: str) -> bool:
    """Whether all of these keys exist."""
    return all(key in tensors for key in keys)


def is_recurrent(tensors: Tensors, prefix: str) -> bool:
    """Whether the tensors under a prefix are those of an `nn.RNN`, `nn.GRU` or `nn.LSTM`."""
    keys = under(tensors, prefix)
    return "weight_hh_l0" in keys and all(_RECURRENT.fullmatch(key) for key in keys)


def consists_of(tensors: Tensors, *parts: str) -> bool:
    """Whether each of these prefixes (`embedding.`, `rnn.`) has tensors, and no other prefix has."""
    return all(under(tensors, part) for part in parts) and all(
        any(key.startswith(part) for part in parts) for key in tensors
    )


def recurrence(tensors: Tensors, prefix: str, *, nonlinearity: str = "tanh") -> Recurrence:
    """The `nn.RNN`, `nn.GRU` or `nn.LSTM` under a prefix, from its shapes."""
    mine = under(tensors, prefix)
    shape = tuple(mine["weight_hh_l0"].shape)
    rows, hidden = shape if len(shape) == 2 else (0, 0)
    cell = _CELLS.get(rows // hidden) if hidden else None
    if cell is None or rows % hidden or mine["weight_ih_l0"].dim() != 2:
        raise ImportFailed(f"{prefix}weight_hh_l0 is {' x '.join(map(str, shape))}: no shape of an RNN, GRU or LSTM")
    return Recurrence(
        cell="rnn_relu" if cell == "rnn_tanh" and nonlinearity == "relu" else cell,
        input_size=mine["weight_ih_l0"].shape[1],
        hidden_size=hidden,
        layers=1 + max(int(re.findall(r"_l(\d+)", key)[0]) for key in mine),
        directions=2 if "weight_hh_l0_reverse" in mine else 1,
    )


def recurrent_weights(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """The weights of a recurrence by our names, which are torch's. Missing biases are 0."""
    mine = under(tensors, prefix)
    for key in [key for key in mine if key.startswith("weight_")]:
        mine.setdefault(key.replace("weight_", "bias_"), mine[key].new_zeros(len(mine[key])))
    return mine


def embedded(side: Literal["encoder", "decoder"], embedding: Tensor, recurrent: Tensors) -> dict[str, Tensor]:
    """Embedding and recurrence of an encoder or a decoder, by our names."""
    return {f"{side}.embedding.weight": embedding, **prefixed(recurrent, f"{side}.recurrence.")}


def decoder_of(embedding: Tensor, recurrent: Recurrence, /, **others: Any) -> Decoder:
    """A decoder with the sizes of its embedding (vocabulary, size) and its recurrence. Raises ValidationError."""
    sizes = {
        "vocabulary_size": len(embedding),
        "embedding_size": embedding.shape[1],
        **recurrent.settings,
        "hidden_size": recurrent.hidden_size,
        "layers": recurrent.layers,
    }
    return Decoder.model_validate(sizes | others)


def linear(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """`weight` and `bias` of a linear layer. A missing bias is 0."""
    weight = tensors[f"{prefix}weight"]
    return {"weight": weight, "bias": tensors.get(f"{prefix}bias", weight.new_zeros(len(weight)))}


def composed(first: Tensors, second: Tensors) -> dict[str, Tensor]:
    """Two linear layers without a function between them as one."""
    weight = second["weight"].double()
    return {
        "weight": (weight @ first["weight"].double()).float(),
        "bias": (weight @ first["bias"].double() + second["bias"].double()).float(),
    }


def columns(weight: Tensor, sizes: Iterable[int]) -> list[Tensor]:
    """A weight (out, in) split by the parts of its input."""
    sizes = list(sizes)
    if sum(sizes) != weight.shape[1]:
        raise ImportFailed(f"a layer has {weight.shape[1]} inputs, and {sum(sizes)} are expected")
    return [part.contiguous() for part in torch.split(weight, sizes, 1)]


def reordered(weight: Tensor, sizes: Iterable[int], order: Iterable[int]) -> Tensor:
    """A weight (out, in) with the parts of its input in another order."""
    parts = columns(weight, sizes)
    return torch.cat([parts[index] for index in order], 1)


def two_labels(layer: Tensors) -> dict[str, Tensor]:
    """A layer of one output with a sigmoid as a layer of two outputs with a softmax. The first output is 0: softmax
    over (0, x) gives 1 - sigmoid(x) and sigmoid(x)."""
    return {name: torch.cat((torch.zeros_like(value), value)) for name, value in layer.items()}
