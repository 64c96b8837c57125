"""Parts of foreign networks in our names: recurrences, embeddings, linear layers, residual networks."""

import re
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.layout import Tensors
from app.store.architecture import CellKind, Recurrence, ResNet

_RECURRENT = re.compile(r"(?:weight|bias)_(?:ih|hh)_l\d+(?:_reverse)?")
_CELLS: dict[int, CellKind] = {4: "lstm", 3: "gru", 1: "rnn_tanh"}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RESNET_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


def pair(
    networks: Mapping[str, Tensors], is_encoder: Callable[[Tensors], bool], is_decoder: Callable[[Tensors], bool]
) -> tuple[Tensors, Tensors] | None:
    """Encoder and decoder of two state dicts, whichever came first; None if they are something else."""
    if len(networks) == 2:
        one, other = networks.values()
        for encoder, decoder in ((one, other), (other, one)):
            if is_encoder(encoder) and is_decoder(decoder):
                return encoder, decoder
    return None


def under(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """What lies under a prefix, without it."""
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def placed(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """The same under a prefix."""
    return {prefix + key: tensor for key, tensor in tensors.items()}


def has(tensors: Tensors, *keys: str) -> bool:
    """Whether all of these are there."""
    return all(key in tensors for key in keys)


def is_recurrent(tensors: Tensors, prefix: str) -> bool:
    """Whether an `nn.RNN`, `nn.GRU` or `nn.LSTM` lies under a prefix, and nothing else."""
    keys = under(tensors, prefix)
    return "weight_hh_l0" in keys and all(_RECURRENT.fullmatch(key) for key in keys)


def consists_of(tensors: Tensors, *parts: str) -> bool:
    """Whether there is something of each part (`embedding.`, `rnn.`) and nothing of any other."""
    return all(under(tensors, part) for part in parts) and all(
        any(key.startswith(part) for part in parts) for key in tensors
    )


def recurrence(tensors: Tensors, prefix: str, *, nonlinearity: str = "tanh") -> Recurrence:
    """What an `nn.RNN`, `nn.GRU` or `nn.LSTM` under a prefix is, from its shapes."""
    mine = under(tensors, prefix)
    rows, hidden = mine["weight_hh_l0"].shape
    cell = _CELLS.get(rows // hidden)
    if cell is None or rows % hidden:
        raise ImportFailed(f"{prefix}weight_hh_l0 is {rows} x {hidden}, which is neither of an RNN nor a GRU or LSTM")
    return Recurrence(
        cell="rnn_relu" if cell == "rnn_tanh" and nonlinearity == "relu" else cell,
        input_size=mine["weight_ih_l0"].shape[1],
        hidden_size=hidden,
        layers=1 + max(int(re.findall(r"_l(\d+)", key)[0]) for key in mine),
        directions=2 if "weight_hh_l0_reverse" in mine else 1,
    )


def recurrent_weights(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """The weights of a recurrence by our names, which are torch's; biases that were left out are 0."""
    mine = under(tensors, prefix)
    for key in [key for key in mine if key.startswith("weight_")]:
        mine.setdefault(key.replace("weight_", "bias_"), mine[key].new_zeros(len(mine[key])))
    return mine


def linear(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """`weight` and `bias` of a linear layer; a bias that was left out is 0."""
    weight = tensors[f"{prefix}weight"]
    return {"weight": weight, "bias": tensors.get(f"{prefix}bias", weight.new_zeros(len(weight)))}


def columns(weight: Tensor, sizes: Iterable[int]) -> list[Tensor]:
    """A weight (out, in) cut into what each part of its input meets."""
    sizes = list(sizes)
    if sum(sizes) != weight.shape[1]:
        raise ImportFailed(f"a layer of {weight.shape[1]} inputs was expected to have {sum(sizes)}")
    return [part.contiguous() for part in torch.split(weight, sizes, 1)]


def reordered(weight: Tensor, sizes: Iterable[int], order: Iterable[int]) -> Tensor:
    """A weight (out, in) with the parts of its input in another order."""
    parts = columns(weight, sizes)
    return torch.cat([parts[index] for index in order], 1)


def torchvision_resnet(children: Tensors) -> tuple[ResNet, dict[str, Tensor]]:
    """A torchvision ResNet whose children without the last ones were put into an `nn.Sequential`: what it is, and its
    tensors by torchvision's names. The statistics of batch normalisation are its own, not those of ImageNet."""
    tensors = {}
    for key, tensor in children.items():
        number, _, rest = key.partition(".")
        if number not in _RESNET_CHILDREN:
            raise ImportFailed(f"resnet.{key} is not a part of a torchvision ResNet without its last layers")
        tensors[f"{_RESNET_CHILDREN[number]}.{rest}"] = tensor
    for key in [key for key in tensors if key.endswith("running_mean")]:
        tensors.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return _resnet_of(tensors), tensors


def _resnet_of(tensors: Mapping[str, Tensor]) -> ResNet:
    blocks, widths = [], []
    for stage in (1, 2, 3, 4):
        numbers = {int(key.split(".")[1]) for key in tensors if key.startswith(f"layer{stage}.")}
        if not numbers:
            raise ImportFailed(f"the ResNet has no layer{stage}")
        blocks.append(len(numbers))
        widths.append(tensors[f"layer{stage}.0.conv1.weight"].shape[0])
    return ResNet.model_validate(
        {
            "block": "bottleneck" if "layer1.0.conv3.weight" in tensors else "basic",
            "blocks": blocks,
            "stem_width": tensors["conv1.weight"].shape[0],
            "widths": widths,
        }
    )


def two_labels(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """A layer of one output and a sigmoid as one of two outputs and a softmax: the first is 0, and softmax over (0, x)
    gives 1 - sigmoid(x) and sigmoid(x)."""
    layer = linear(tensors, prefix)
    return {name: torch.cat((torch.zeros_like(value), value)) for name, value in layer.items()}
