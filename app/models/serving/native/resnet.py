"""A ResNet in 8 bits: all its convolutions of all images in one call."""

import torch
from torch import Tensor, nn

from app.models.resnet import Block, ResNet
from app.models.serving.folded import folded
from app.models.serving.native.library import BlockFields, ConvolutionFields, ResNetFields, loaded
from app.models.serving.native.matrix import in_8_bits

_PANEL = 64  # outputs whose weights lie together
_WHOLE = 16  # channels are filled up with zeros to a multiple of this
_MIDDLE = 128  # stands for 0 in an image, which has negative numbers


class NativeResNet(nn.Module):
    """`resnet` for processors with AVX-512 VNNI, the batch normalisation folded into its convolutions. Each output of a
    convolution has its own scale, and each feature map is rounded to 8 bits by its own largest number, so an image
    does not depend on the others of its batch. Sums are exact, and shortcuts float32."""

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        stages = (resnet.get_submodule(f"layer{stage}") for stage in (1, 2, 3, 4))
        blocks = [block for stage in stages for block in stage.children() if isinstance(block, Block)]
        self._blocks = (BlockFields * len(blocks))(*map(self._block, blocks))
        self._stem = self._convolution(resnet.conv1, resnet.bn1, zero=_MIDDLE)
        last = blocks[-1].bn3 if blocks[-1].bottleneck else blocks[-1].bn2
        self._channels = last.num_features

    def forward(self, pixels: Tensor) -> Tensor:
        """See `ResNet.forward`. The grid lies channels last; it is NaN where a pixel of its image is not finite."""
        images, _, height, width = pixels.shape
        pixels = pixels.float().contiguous()
        channels = self._channels + -self._channels % _WHOLE
        rows, columns = -(-height // 32), -(-width // 32)
        grid = torch.empty(images, rows, columns, channels)
        fields = ResNetFields(self._stem, self._blocks, len(self._blocks), height, width, rows * columns * channels)
        if loaded().unroll_resnet(fields, pixels.data_ptr(), images, grid.data_ptr()):
            raise MemoryError("there is no memory for a feature map")
        return grid[..., : self._channels].permute(0, 3, 1, 2)

    def _block(self, block: Block) -> BlockFields:
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if block.bottleneck:
            pairs.append((block.conv3, block.bn3))
        fields = BlockFields(count=len(pairs), has_downsample=block.downsample is not None)
        for place, pair in enumerate(pairs):
            fields.convolutions[place] = self._convolution(*pair)
        if isinstance(block.downsample, nn.Sequential):
            fields.downsample = self._convolution(*block.downsample)
        return fields

    def _convolution(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d, zero: int = 0) -> ConvolutionFields:
        """`zero` stands for 0 in what the convolution reads."""
        weight, bias = folded(convolution, norm)
        outputs, inputs, kernel, _ = weight.shape
        values, scales = in_8_bits(weight.flatten(1))
        more = -outputs % _WHOLE
        more_inputs = 0 if zero else -inputs % _WHOLE
        values = nn.functional.pad(values.view_as(weight), (0, 0, 0, 0, 0, more_inputs, 0, more))
        rows = values.permute(0, 2, 3, 1).flatten(2)  # (outputs, kernel, kernel * inputs)
        groups = nn.functional.pad(rows, (0, -rows.shape[2] % 4)).view(outputs + more, kernel, -1, 4)
        panels = [panel.flatten() for panel in torch.split(groups.permute(1, 2, 0, 3), _PANEL, 2)]
        offsets = values.flatten(1).sum(1, dtype=torch.int32) * -zero
        kept = [torch.cat(panels), *(nn.functional.pad(numbers, (0, more)) for numbers in (scales, bias)), offsets]
        for tensor in kept:  # the fields point to them
            self.register_buffer(f"part{len(list(self.buffers()))}", tensor, persistent=False)
        return ConvolutionFields(*(tensor.data_ptr() for tensor in kept), kernel, convolution.stride[0], outputs + more)
