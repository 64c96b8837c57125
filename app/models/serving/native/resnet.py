"""A ResNet in 8 bits: all its convolutions of all images in one call."""

from ctypes import c_uint8

import torch
from torch import Tensor, nn

from app.models.encoders import Normalisation
from app.models.resnet import Block, ResNet
from app.models.serving.folded import folded
from app.models.serving.native.library import (
    BlockFields,
    ConvolutionFields,
    Level,
    ResNetFields,
    best_level,
    loaded,
)
from app.models.serving.native.matrix import DEEPEST, in_8_bits

_PANEL = 64  # outputs whose weights lie together
_WHOLE = 16  # channels are filled up with zeros to a multiple of this


class NativeResNet(nn.Module):
    """A ResNet and the `normalisation` of its pixels, for processors with AVX-512 VNNI. Pixels are read as they are;
    each output of a convolution has its own scale, and each feature map is rounded to 8 bits by its own largest number,
    so an image does not depend on the others of its batch. Sums are exact, and shortcuts float32.

    Pixels outside the image are 0 after the normalisation, rounded to a whole number before it. Raises ValueError for
    weights that are not finite, and for convolutions whose sums may not fit int32.
    """

    def __init__(self, resnet: ResNet, normalisation: Normalisation) -> None:
        super().__init__()
        if best_level() is not Level.AVX512_VNNI:
            raise RuntimeError("there is no native kernel for this processor")
        self._kept: list[Tensor] = []  # what the fields point to, even if buffers are moved
        stages = (resnet.get_submodule(f"layer{stage}") for stage in (1, 2, 3, 4))
        blocks = [block for stage in stages for block in stage.children() if isinstance(block, Block)]
        weight, bias = folded(resnet.conv1, resnet.bn1)
        bias = bias - (weight * (normalisation.mean / normalisation.std)).flatten(1).sum(1)
        self._stem = self._fields(weight / (255 * normalisation.std), bias, resnet.conv1.stride[0])
        self._blocks = (BlockFields * len(blocks))(*map(self._block, blocks))
        self._zero = (c_uint8 * 8)(*(255 * normalisation.mean).round().int().flatten().tolist())
        self._channels = (blocks[-1].bn3 if blocks[-1].bottleneck else blocks[-1].bn2).num_features

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, height, width, 3) of uint8 to what `ResNet.forward` gives, channels last."""
        if images.dtype != torch.uint8 or images.device.type != "cpu" or images.dim() != 4 or images.shape[3] != 3:
            raise ValueError("images must be (batch, height, width, 3) of uint8, on the CPU")
        if 0 in images.shape[1:]:
            raise ValueError("images must have pixels")
        images = images.contiguous()
        count, height, width, _ = images.shape
        channels = self._channels + -self._channels % _WHOLE
        grid = torch.empty(count, -(-height // 32), -(-width // 32), channels)
        size = grid.shape[1:].numel()
        fields = ResNetFields(self._stem, self._blocks, len(self._blocks), height, width, size, self._zero)
        if loaded().unroll_resnet(fields, images.data_ptr(), count, grid.data_ptr()):
            raise MemoryError("there is no memory for a feature map")
        return grid[..., : self._channels].permute(0, 3, 1, 2)

    def _block(self, block: Block) -> BlockFields:
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if block.bottleneck:
            pairs.append((block.conv3, block.bn3))
        fields = BlockFields(count=len(pairs))
        for place, pair in enumerate(pairs):
            fields.convolutions[place] = self._convolution(*pair)
        if isinstance(block.downsample, nn.Sequential):
            fields.has_downsample, fields.downsample = True, self._convolution(*block.downsample)
        return fields

    def _convolution(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> ConvolutionFields:
        weight, bias = folded(convolution, norm)
        padded = nn.functional.pad(weight, (0, 0, 0, 0, 0, -weight.shape[1] % _WHOLE))
        return self._fields(padded, bias, convolution.stride[0])

    def _fields(self, weight: Tensor, bias: Tensor, stride: int) -> ConvolutionFields:
        """weight (outputs, inputs, kernel, kernel)"""
        outputs, inputs, kernel, _ = weight.shape
        if not (weight.isfinite().all() and bias.isfinite().all()):
            raise ValueError("a weight is not finite")
        if kernel * kernel * inputs > DEEPEST:
            raise ValueError("a convolution has too many inputs for sums in int32")
        more = -outputs % _WHOLE
        values, scales = in_8_bits(weight.flatten(1))
        rows = values.view_as(weight).permute(0, 2, 3, 1).flatten(2)  # (outputs, kernel, kernel * inputs)
        groups = nn.functional.pad(rows, (0, -rows.shape[2] % 4, 0, 0, 0, more)).view(outputs + more, kernel, -1, 4)
        panels = torch.split(groups.permute(1, 2, 0, 3), _PANEL, 2)
        kept = [torch.cat([panel.flatten() for panel in panels])]
        kept += [nn.functional.pad(numbers, (0, more)) for numbers in (scales, bias)]
        self._kept += kept
        for tensor in kept:  # for `Models.bytes`
            self.register_buffer(f"part{len(list(self.buffers()))}", tensor, persistent=False)
        return ConvolutionFields(*(tensor.data_ptr() for tensor in kept), kernel, stride, outputs + more)
