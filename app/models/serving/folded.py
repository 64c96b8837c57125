"""A serving form of `ResNet`: batch normalisation folded into the convolutions, channels last."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from app.models.resnet import Block, ResNet


class FoldedConvolution(nn.Module):
    """A convolution and the batch normalisation after it, in `dtype`; `relu` follows it."""

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d, dtype: torch.dtype) -> None:
        super().__init__()
        weight, bias = folded(convolution, norm)
        self.stride, self.padding, self.dtype = convolution.stride, convolution.padding, dtype
        self.register_buffer("weight", weight.to(dtype).contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("bias", bias.to(dtype), persistent=False)
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, features: Tensor, relu: bool) -> Tensor:
        found = torch.conv2d(features.to(self.dtype), self.weight, self.bias, self.stride, self.padding)
        return found.relu_() if relu else found


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias, in float32, of a convolution that does what both do."""
    both = fuse_conv_bn_eval(convolution, norm)
    assert both.bias is not None
    return both.weight.detach(), both.bias.detach()


class FoldedBlock(nn.Module):
    """See `resnet.Block`."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        super().__init__()
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if block.bottleneck:
            pairs.append((block.conv3, block.bn3))
        self.convolutions = nn.ModuleList(FoldedConvolution(*pair, dtype) for pair in pairs)
        self.downsample: nn.Module | None = None
        if isinstance(block.downsample, nn.Sequential):
            convolution, norm = block.downsample
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            self.downsample = FoldedConvolution(convolution, norm, dtype)

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features, relu=False)
        *inner, last = self.convolutions
        for convolution in inner:
            features = convolution(features, relu=True)
        return last(features, relu=False).add_(shortcut).relu_()  # type: ignore[no-any-return]


class FoldedResNet(nn.Module):
    """`resnet` in `dtype`: pixels in, a feature map of their type out."""

    def __init__(self, resnet: ResNet, dtype: torch.dtype) -> None:
        super().__init__()
        self.stem = FoldedConvolution(resnet.conv1, resnet.bn1, dtype)
        self.maxpool = resnet.maxpool
        stages = (resnet.get_submodule(f"layer{stage}") for stage in (1, 2, 3, 4))
        self.blocks = nn.Sequential(
            *(FoldedBlock(block, dtype) for stage in stages for block in stage.children() if isinstance(block, Block))
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """See `ResNet.forward`."""
        grid: Tensor = self.blocks(self.maxpool(self.stem(pixels, relu=True)))
        return grid.to(pixels.dtype)
