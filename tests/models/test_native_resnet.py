"""A ResNet in 8 bits by the native kernels against the plain one."""

from typing import Literal

import pytest
import torch

from app.models.resnet import ResNet
from app.models.serving.native import NativeResNet
from app.models.serving.precision import capability
from app.store.image_encoder import ResNet as ResNetConfig
from tests.models.test_resnet import THIN, randomised

pytestmark = pytest.mark.skipif(not capability().resnet_int8, reason="this processor has no fast 8-bit products")
WIDE = {"stem_width": 24, "widths": (16, 40, 48, 80)}  # one to four vectors of channels in a panel, and one after it


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("stride_at", ["1x1", "3x3"])
@pytest.mark.parametrize("widths", [THIN, WIDE], ids=["thin", "wide"])
@pytest.mark.parametrize("size", [(64, 64), (96, 64), (45, 71), (33, 1)])
def test_grid_is_near_the_plain_one(
    block: Literal["basic", "bottleneck"],
    stride_at: Literal["1x1", "3x3"],
    widths: dict[str, object],
    size: tuple[int, int],
) -> None:
    config = ResNetConfig.model_validate({"block": block, "blocks": (1, 2, 1, 1), "stride_at": stride_at} | widths)
    network = randomised(ResNet(config))
    pixels = torch.randn(3, 3, *size)
    given = pixels.clone()
    with torch.inference_mode():
        expected, actual = network(pixels), NativeResNet(network)(pixels)
    assert actual.shape == expected.shape
    assert (actual - expected).norm() < 0.03 * expected.norm()
    assert torch.equal(pixels, given)


def native() -> NativeResNet:
    return NativeResNet(randomised(ResNet(ResNetConfig(block="bottleneck", blocks=(1, 1, 1, 1), **THIN))))


def test_an_image_in_a_batch_has_the_bits_of_the_same_alone() -> None:
    network = native()
    pixels = torch.randn(4, 3, 64, 64) * torch.tensor([1.0, 0.1, 30.0, 1.0]).view(4, 1, 1, 1)
    grid = network(pixels)
    for row in range(4):
        assert torch.equal(network(pixels[row : row + 1])[0], grid[row])
    assert torch.equal(network(pixels.contiguous(memory_format=torch.channels_last)), grid)
    assert network(pixels[:0]).shape == (0, *grid.shape[1:])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 3e38])
def test_a_grid_tells_that_a_number_is_not_finite(bad: float) -> None:
    pixels = torch.randn(3, 3, 40, 40)
    pixels[1, 2, 3, 4] = bad
    grid = native()(pixels)
    assert grid[1].isnan().all() or (bad == 3e38 and not grid[1].isinf().any())
    assert grid[0].isfinite().all()
    assert grid[2].isfinite().all()


def test_a_black_image_is_read() -> None:
    network = randomised(ResNet(ResNetConfig(block="basic", blocks=(1, 1, 1, 1), **THIN)))
    pixels = torch.zeros(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network(pixels)
    assert (NativeResNet(network)(pixels) - expected).norm() < 0.03 * expected.norm()


def test_memory_is_that_of_the_weights() -> None:
    network = ResNet(ResNetConfig(block="basic", blocks=(1, 1, 1, 1), stem_width=64, widths=(64, 64, 128, 128))).eval()
    weights = sum(parameter.numel() for parameter in network.parameters() if parameter.dim() == 4)
    assert sum(buffer.nbytes for buffer in NativeResNet(network).buffers()) == pytest.approx(weights, rel=0.1)
