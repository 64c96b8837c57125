"""A ResNet with folded batch normalisation against the plain one."""

from typing import Literal

import pytest
import torch

from app.models.resnet import ResNet
from app.models.serving.folded import FoldedResNet
from app.models.serving.precision import capability
from app.store.image_encoder import ResNet as ResNetConfig
from tests.models.test_resnet import THIN, randomised


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("stride_at", ["1x1", "3x3"])
def test_folded_equals_the_plain_one(block: Literal["basic", "bottleneck"], stride_at: Literal["1x1", "3x3"]) -> None:
    network = randomised(ResNet(ResNetConfig(block=block, blocks=(1, 2, 1, 2), stride_at=stride_at, **THIN)))
    pixels = torch.randn(2, 3, 64, 96)
    given = pixels.clone()
    with torch.inference_mode():
        expected = network(pixels)
        actual = FoldedResNet(network, torch.float32)(pixels)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    assert torch.equal(pixels, given)


@pytest.mark.skipif(not capability().bfloat16, reason="this processor has no fast bfloat16")
def test_bfloat16_is_near_and_the_same_alone() -> None:
    network = randomised(ResNet(ResNetConfig(block="bottleneck", blocks=(1, 1, 1, 1), **THIN)))
    folded = FoldedResNet(network, torch.bfloat16)
    pixels = torch.randn(5, 3, 64, 64)
    with torch.inference_mode():
        expected, actual = network(pixels), folded(pixels)
        assert actual.dtype == torch.float32
        assert (actual - expected).norm() < 0.02 * expected.norm()
        for row in range(5):
            assert torch.equal(folded(pixels[row : row + 1])[0], actual[row])
