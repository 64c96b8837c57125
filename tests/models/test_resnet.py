"""ResNet: torchvision's parameter names, and blocks against functional references."""

from typing import Any, Literal, TypeVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from app.models.resnet import Block, ResNet
from app.store.image_encoder import ImageEncoder as ImageEncoderConfig
from app.store.image_encoder import ResNet as ResNetConfig

Kind = Literal["basic", "bottleneck"]
Place = Literal["1x1", "3x3"]
Shapes = dict[str, tuple[int, ...]]
Blocks = tuple[int, int, int, int]
Network = TypeVar("Network", bound=torch.nn.Module)

THIN: dict[str, Any] = {"stem_width": 4, "widths": (4, 6, 8, 10)}


def torchvision_shapes(kind: Kind, blocks: Blocks) -> Shapes:
    """Names and shapes in the state dict of torchvision's resnet, without `fc`, by its naming rule."""
    shapes: Shapes = {"conv1.weight": (64, 3, 7, 7), **norm_shapes("bn1", 64)}
    inputs = 64
    for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), start=1):
        outputs = width if kind == "basic" else 4 * width
        for number in range(count):
            block = f"layer{stage}.{number}"
            if kind == "basic":
                kernels = [(width, inputs, 3), (width, width, 3)]
            else:
                kernels = [(width, inputs, 1), (width, width, 3), (outputs, width, 1)]
            for index, (rows, columns, side) in enumerate(kernels, start=1):
                shapes[f"{block}.conv{index}.weight"] = (rows, columns, side, side)
                shapes |= norm_shapes(f"{block}.bn{index}", rows)
            if number == 0 and (stage > 1 or inputs != outputs):
                shapes[f"{block}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                shapes |= norm_shapes(f"{block}.downsample.1", outputs)
            inputs = outputs
    return shapes


def norm_shapes(name: str, width: int) -> Shapes:
    per_channel = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{part}": (width,) for part in per_channel}, f"{name}.num_batches_tracked": ()}


def on_paper(config: ResNetConfig) -> ResNet:
    """The network with shapes but without numbers."""
    with torch.device("meta"):
        return ResNet(config)


def randomised(network: Network) -> Network:
    """Random values for every parameter and running statistic, so that each one has an effect."""
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                values.normal_(std=0.5)
            elif name.endswith("running_var") or values.dim() == 1:
                values.uniform_(0.5, 1.5)
    return network.eval()


def convolve(weights: dict[str, Tensor], conv: str, norm: str, features: Tensor, stride: int = 1) -> Tensor:
    """Convolution and batch normalisation with running statistics, the latter by its formula."""
    kernel = weights[f"{conv}.weight"]
    features = functional.conv2d(features, kernel, stride=stride, padding=(kernel.shape[2] - 1) // 2)
    mean, variance, scale, shift = (
        weights[f"{norm}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (features - mean) / torch.sqrt(variance + 1e-5) * scale + shift


def reference_block(
    kind: Kind, stride_at: Place, weights: dict[str, Tensor], features: Tensor, stride: int, prefix: str = ""
) -> Tensor:
    """He et al. (2016) figure 5: basic on the left, bottleneck on the right; projection where shapes differ."""
    shortcut = features
    if f"{prefix}downsample.0.weight" in weights:
        shortcut = convolve(weights, f"{prefix}downsample.0", f"{prefix}downsample.1", features, stride)
    strides = [stride, 1]
    if kind == "bottleneck":
        strides = [stride, 1, 1] if stride_at == "1x1" else [1, stride, 1]
    for index, step in enumerate(strides, start=1):
        features = convolve(weights, f"{prefix}conv{index}", f"{prefix}bn{index}", features, step)
        if index < len(strides):
            features = features.clamp(min=0)
    return (features + shortcut).clamp(min=0)


@pytest.mark.parametrize(
    ("kind", "blocks", "parameters"),
    [
        ("basic", (2, 2, 2, 2), 11_176_512),
        ("basic", (3, 4, 6, 3), 21_284_672),
        ("bottleneck", (3, 4, 6, 3), 23_508_032),
        ("bottleneck", (3, 4, 23, 3), 42_500_160),
        ("bottleneck", (3, 8, 36, 3), 58_143_808),
    ],
    ids=["18", "34", "50", "101", "152"],
)
def test_parameters_are_torchvisions(kind: Kind, blocks: Blocks, parameters: int) -> None:
    network = on_paper(ResNetConfig(block=kind, blocks=blocks))
    shapes = {name: tuple(values.shape) for name, values in network.state_dict().items()}
    assert shapes == torchvision_shapes(kind, blocks)
    assert sum(values.numel() for values in network.parameters()) == parameters


def test_place_of_the_stride_changes_no_name() -> None:
    blocks = (3, 4, 6, 3)
    network = on_paper(ResNetConfig(block="bottleneck", blocks=blocks, stride_at="1x1"))
    shapes = {name: tuple(values.shape) for name, values in network.state_dict().items()}
    assert shapes == torchvision_shapes("bottleneck", blocks)


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("stride_at", ["1x1", "3x3"])
@pytest.mark.parametrize(
    ("size", "cells"),
    [
        ((32, 32), (1, 1)),
        ((64, 96), (2, 3)),
        ((224, 224), (7, 7)),
        ((33, 1), (2, 1)),
        ((97, 95), (4, 3)),
        ((97, 97), (4, 4)),
    ],
)
def test_feature_map_is_a_thirty_second(
    kind: Kind, stride_at: Place, size: tuple[int, int], cells: tuple[int, int]
) -> None:
    config = ResNetConfig(block=kind, blocks=(2, 1, 1, 1), stride_at=stride_at, **THIN)
    with torch.no_grad():
        features = ResNet(config).eval()(torch.randn(2, 3, *size))
    assert features.shape == (2, 40 if kind == "bottleneck" else 10, *cells)
    assert config.output_size == features.shape[1]
    if size[0] == size[1]:
        assert ImageEncoderConfig(resnet=config, image_size=size[0]).memory_length == cells[0] * cells[1]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("stride_at", ["1x1", "3x3"])
@pytest.mark.parametrize(
    ("kind", "inputs", "projected"),
    [("basic", 5, False), ("basic", 3, True), ("bottleneck", 20, False), ("bottleneck", 5, True)],
    ids=["basic", "basic, wider", "bottleneck", "bottleneck, wider"],
)
def test_block_equals_its_reference(kind: Kind, inputs: int, projected: bool, stride_at: Place, stride: int) -> None:
    config = ResNetConfig(block=kind, blocks=(1, 1, 1, 1), stride_at=stride_at)
    block = randomised(Block(config, inputs, 5, stride))
    assert (block.downsample is not None) == (projected or stride == 2)
    features = torch.randn(2, inputs, 9, 8)
    given = features.clone()
    with torch.no_grad():
        actual = block(features)
    expected = reference_block(kind, stride_at, block.state_dict(), given, stride)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(features, given)  # no operation in place reaches the block's input


def test_the_two_places_of_the_stride_differ() -> None:
    features = torch.randn(1, 6, 8, 8)
    config = ResNetConfig(block="bottleneck", blocks=(1, 1, 1, 1), stride_at="1x1")
    early = randomised(Block(config, 6, 5, 2))
    late = Block(config.model_copy(update={"stride_at": "3x3"}), 6, 5, 2).eval()
    late.load_state_dict(early.state_dict())
    assert not torch.allclose(early(features), late(features), atol=1e-2)


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("stride_at", ["1x1", "3x3"])
def test_network_equals_its_reference(kind: Kind, stride_at: Place) -> None:
    blocks = (1, 2, 1, 2)
    network = randomised(ResNet(ResNetConfig(block=kind, blocks=blocks, stride_at=stride_at, **THIN)))
    weights = network.state_dict()
    pixels = torch.randn(2, 3, 64, 96)
    expected = convolve(weights, "conv1", "bn1", pixels, stride=2).clamp(min=0)
    expected = functional.max_pool2d(functional.pad(expected, (1, 1, 1, 1), value=float("-inf")), 3, 2)
    for stage, count in enumerate(blocks, start=1):
        for number in range(count):
            stride = 2 if stage > 1 and number == 0 else 1
            expected = reference_block(kind, stride_at, weights, expected, stride, f"layer{stage}.{number}.")
    with torch.no_grad():
        actual = network(pixels)
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
