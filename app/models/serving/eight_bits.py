"""Convolutions in 8 bits by oneDNN, for `FoldedResNet`."""

import torch
from torch import Tensor, nn

from app.models.serving.folded import folded
from app.models.serving.native import in_bytes
from app.models.serving.native.matrix import in_8_bits


class EightBitConvolution(nn.Module):
    """A convolution and the batch normalisation after it, of one image: (1, channels, height, width). Each output
    channel has its own scale, and the image is rounded by its own largest number. Sums are exact; `relu` follows.

    The first image settles how oneDNN lays out the weights: one of another size is right, but slower.
    """

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        weight, bias = folded(convolution, norm)
        values, scales = in_8_bits(weight.flatten(1))
        self._places = (list(convolution.stride), list(convolution.padding), [1, 1], 1)
        self._is_packed = False
        zeros = torch.zeros(len(scales), dtype=torch.int32)
        for name, tensor in (("weight", values.view_as(weight)), ("scales", scales), ("bias", bias), ("zeros", zeros)):
            self.register_buffer(name, tensor.clone(), persistent=False)
        self.weight: Tensor
        self.scales: Tensor
        self.bias: Tensor
        self.zeros: Tensor

    def forward(self, features: Tensor, relu: bool) -> Tensor:
        values, scale, zero = in_bytes(features)
        if not self._is_packed:
            self.weight = torch.ops.onednn.qconv_prepack(self.weight, self.scales, 1, 0, *self._places, values.shape)
            self._is_packed = True
        image, weights = (values, scale, zero), (self.weight, self.scales, self.zeros, self.bias)
        after = "relu" if relu else "none"
        found: Tensor = torch.ops.onednn.qconv2d_pointwise(
            *image, *weights, *self._places, 1, 0, torch.float32, after, [], ""
        )
        return found
