"""A ResNet whose numbers are those of the code that it was trained with: image by image, channels first.

oneDNN takes another kernel for another layout or another number of images. That changes a feature by some 1e-5, and a
log-probability of a caption, after 152 layers, by 6e-5.
"""

import torch
from torch import Tensor, nn

from app.models.resnet import ResNet


class OneByOne(nn.Module):
    """`ResNet`, which it holds."""

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        self.resnet = resnet

    def forward(self, pixels: Tensor) -> Tensor:
        """See `ResNet.forward`."""
        return torch.cat([self.resnet(image.contiguous()) for image in torch.split(pixels, 1)])
