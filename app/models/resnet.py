"""Residual network without its classifier (He et al. 2016, sections 3.3 and 4.1).

Parameter names are torchvision's (`conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.downsample.0` ...), so its state dicts
load unchanged. Widths are free.
"""

from torch import Tensor, nn

from app.store.image_encoder import ResNet as ResNetConfig


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    """A shortcut around two 3 x 3 convolutions or, in a bottleneck, around 1 x 1, 3 x 3 and 1 x 1 (4 times as wide)."""

    def __init__(self, config: ResNetConfig, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        if config.block == "bottleneck":
            outputs = 4 * width
            first, second = (stride, 1) if config.stride_at == "1x1" else (1, stride)
            self.conv1 = _convolution(inputs, width, 1, first)
            self.conv2 = _convolution(width, width, 3, second)
            self.conv3 = _convolution(width, outputs, 1)
            self.bn3 = nn.BatchNorm2d(outputs)
        else:
            outputs = width
            self.conv1 = _convolution(inputs, width, 3, stride)
            self.conv2 = _convolution(width, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.bottleneck = config.block == "bottleneck"
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.bn2(self.conv2(features))
        if self.bottleneck:
            features = self.bn3(self.conv3(self.relu(features)))
        return self.relu(features + shortcut)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """Normalised pixels (batch, 3, height, width) to the last feature map, whose sides are 1/32 of the image's."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.conv1 = _convolution(3, config.stem_width, 7, 2)
        self.bn1 = nn.BatchNorm2d(config.stem_width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = config.stem_width
        expansion = 4 if config.block == "bottleneck" else 1
        for stage, (blocks, width) in enumerate(zip(config.blocks, config.widths, strict=True)):
            layers = []
            for block in range(blocks):
                layers.append(Block(config, inputs, width, 2 if stage and not block else 1))
                inputs = width * expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(pixels))))
        for stage in range(4):
            features = self.get_submodule(f"layer{stage + 1}")(features)
        return features
