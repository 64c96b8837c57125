"""A ResNet in 8 bits by the native kernels against the plain one."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from app.models.encoders import Normalisation
from app.models.resnet import ResNet
from app.models.serving.native import NativeResNet
from app.models.serving.precision import capability
from app.store.image_encoder import ResNet as ResNetConfig
from tests.models.test_resnet import THIN, randomised

pytestmark = pytest.mark.skipif(not capability().resnet_int8, reason="this processor has no fast 8-bit products")
WIDE = {"stem_width": 24, "widths": (16, 40, 48, 80)}  # one to four vectors of channels in a panel, and one after it
USUAL = Normalisation([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def images(count: int, height: int = 64, width: int = 64) -> Tensor:
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8)


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
    given = images(3, *size)
    with torch.inference_mode():
        expected, actual = network(USUAL(given)), NativeResNet(network, USUAL)(given)
    assert actual.shape == expected.shape
    assert (actual - expected).norm() < 0.012 * expected.norm()


@pytest.mark.parametrize("mean", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_grey_image_is_read(mean: float, shade: int) -> None:
    network = randomised(ResNet(ResNetConfig(block="basic", blocks=(1, 1, 1, 1), **THIN)))
    grey, normalisation = torch.full((1, 64, 64, 3), shade, dtype=torch.uint8), Normalisation([mean] * 3, [0.5] * 3)
    with torch.inference_mode():
        expected = network(normalisation(grey))
    assert (NativeResNet(network, normalisation)(grey) - expected).norm() < 0.012 * expected.norm()


def test_an_image_in_a_batch_has_the_bits_of_the_same_alone() -> None:
    network = NativeResNet(randomised(ResNet(ResNetConfig(block="bottleneck", blocks=(1, 1, 1, 1), **THIN))), USUAL)
    given = images(4)
    given[1] //= 16
    grid = network(given)
    for row in range(4):
        assert torch.equal(network(given[row : row + 1])[0], grid[row])
    assert torch.equal(network(given.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)), grid)
    assert network(given[:0]).shape == (0, *grid.shape[1:])


def test_a_grid_tells_that_a_number_is_not_finite() -> None:
    """Sums overflow in one convolution: to infinity, or to NaN where two infinities cancel out in a shortcut."""
    for block in ("basic", "bottleneck"):
        network = randomised(ResNet(ResNetConfig.model_validate({"block": block, "blocks": (1, 1, 1, 1)} | THIN)))
        with torch.no_grad():
            network.layer2[0].conv2.weight.fill_(10)  # type: ignore[index, union-attr]
            network.layer2[0].bn1.bias.fill_(3e38)  # type: ignore[index, union-attr]
        assert NativeResNet(network, USUAL)(images(2)).isnan().all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(bad: float) -> None:
    network = randomised(ResNet(ResNetConfig(block="basic", blocks=(1, 1, 1, 1), **THIN)))
    with torch.no_grad():
        network.layer3[0].bn2.bias[1] = bad  # type: ignore[index, union-attr]
    with pytest.raises(ValueError, match="finite"):
        NativeResNet(network, USUAL)


@pytest.mark.parametrize(
    "given",
    [torch.zeros(1, 8, 8, 3), images(1)[..., :1], images(1).permute(0, 3, 1, 2), images(1)[:, :0], images(1)[0]],
    ids=["float", "grey", "channels first", "empty", "one image"],
)
def test_what_is_no_image_is_refused(given: Tensor) -> None:
    network = NativeResNet(randomised(ResNet(ResNetConfig(block="basic", blocks=(1, 1, 1, 1), **THIN))), USUAL)
    with pytest.raises(ValueError, match="images must"):
        network(given)


def test_moved_buffers_change_nothing() -> None:
    network = NativeResNet(randomised(ResNet(ResNetConfig(block="basic", blocks=(1, 1, 1, 1), **THIN))), USUAL)
    given = images(1)
    expected = network(given)
    network.double()
    kept = [torch.full((100_000,), 7.0) for _ in range(20)]  # where freed weights were
    assert torch.equal(network(given), expected)
    assert kept


def test_memory_is_that_of_the_weights() -> None:
    config = ResNetConfig(block="basic", blocks=(1, 1, 1, 1), stem_width=64, widths=(64, 64, 128, 128))
    network = ResNet(config).eval()
    weights = sum(parameter.numel() for parameter in network.parameters() if parameter.dim() == 4)
    assert sum(buffer.nbytes for buffer in NativeResNet(network, USUAL).buffers()) == pytest.approx(weights, rel=0.1)
