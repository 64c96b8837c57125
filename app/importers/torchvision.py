"""torchvision's residual networks, and the pixels that they read."""

import torch
from torch import Tensor

from app.errors import ImportFailed
from app.importers.checkpoint import Tensors
from app.store.image_encoder import ResNet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RESNET_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


def resnet_by_name(tensors: Tensors) -> tuple[str, bool] | None:
    """The prefix of a torchvision ResNet, and whether its children have the numbers of an `nn.Sequential`."""
    for key, tensor in tensors.items():
        if tensor.dim() == 4:
            for first, then, numbered in (("conv1.", "layer1.0.conv1.", False), ("0.", "4.0.conv1.", True)):
                prefix = key.removesuffix(f"{first}weight")
                if prefix != key and f"{prefix}{then}weight" in tensors:
                    return prefix, numbered
            return None
    return None


def torchvision_resnet(children: Tensors, *, numbered: bool = True) -> tuple[ResNet, dict[str, Tensor]]:
    """A torchvision ResNet without its last layers: its architecture, and its tensors by torchvision's names. Its
    children are `numbered` in an `nn.Sequential`, or have those names already."""
    tensors = {}
    for key, tensor in children.items():
        if not numbered:
            tensors[key] = tensor
            continue
        number, _, rest = key.partition(".")
        if number not in _RESNET_CHILDREN:
            raise ImportFailed(f"resnet.{key} does not belong to a torchvision ResNet without its last layers")
        tensors[f"{_RESNET_CHILDREN[number]}.{rest}"] = tensor
    for key in [key for key in tensors if key.endswith("running_mean")]:
        tensors.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return _resnet_of(tensors), tensors


def _resnet_of(tensors: Tensors) -> ResNet:
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
