"""Blocks of convolutions over time (Wang et al. 2017, sections II.B and II.C; He et al. 2016, section 3.3).

A row of a padded batch ends at its length: convolutions see zeros after it, so its neighbours do not change it. (In
training the statistics of batch normalisation count padding: train on rows of one length.)
Parameters have the names of torchvision's ResNet: `conv1`, `bn1`, `conv2`, `downsample.0` ...
"""

from typing import assert_never

import torch
from torch import Tensor, nn

from app.store.block import Block as BlockConfig

_POOL_STRIDE = 2


class Block(nn.Module):
    """One block. See `app.store.block.Block`."""

    def __init__(self, config: BlockConfig, inputs: int) -> None:
        super().__init__()
        self.config = config
        width, strides = inputs, config.stride
        for number, kernel in enumerate(config.kernels, 1):
            self.add_module(f"conv{number}", _convolution(config, width, kernel, strides))
            if config.batch_norm:
                self.add_module(f"bn{number}", nn.BatchNorm1d(config.width))
            width, strides = config.width, 1
        self.downsample: nn.Sequential | None = None
        if config.kind == "residual" and (inputs != config.width or config.stride != 1):
            self.downsample = nn.Sequential(_convolution(config, inputs, 1, config.stride))
            if config.batch_norm:
                self.downsample.append(nn.BatchNorm1d(config.width))

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """features (batch, inputs, steps), lengths (batch,): (batch, width, fewer steps) and their lengths. Features
        past a row's length are 0, before and after."""
        before = features
        last = len(self.config.kernels)
        lengths = _shortened(lengths, self.config.stride)
        for number, kernel in enumerate(self.config.kernels, 1):
            features = self.get_submodule(f"conv{number}")(self._padded(features, kernel))
            if self.config.batch_norm:
                features = self.get_submodule(f"bn{number}")(features)
            if number == last:
                features = self._with_shortcut(features, before)
            features = without_padding(torch.relu(features), lengths)
        if (pool := self.config.pool) is not None:  # every number is at least 0 here, as the padding is
            features = nn.functional.max_pool1d(self._padded(features, pool), pool, _POOL_STRIDE)
            lengths = _shortened(lengths, _POOL_STRIDE)
            features = without_padding(features, lengths)
        return features, lengths

    def _with_shortcut(self, features: Tensor, before: Tensor) -> Tensor:
        match self.config.kind:
            case "plain":
                return features
            case "residual":
                return features + (before if self.downsample is None else self.downsample(before))
            case _:
                assert_never(self.config.kind)

    def _padded(self, features: Tensor, kernel: int) -> Tensor:
        """Zeros before and after the steps, so that a kernel finds its steps everywhere."""
        match self.config.padding:
            case "same":
                left = (kernel - 1) // 2
            case "causal":
                left = kernel - 1
            case _:
                assert_never(self.config.padding)
        return nn.functional.pad(features, (left, kernel - 1 - left))


class Blocks(nn.ModuleList):
    """Blocks, one after the other."""

    def __init__(self, configs: tuple[BlockConfig, ...], inputs: int) -> None:
        widths = [inputs, *(config.width for config in configs)]
        super().__init__(Block(config, width) for config, width in zip(configs, widths, strict=False))

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """rows (batch, steps, features), lengths (batch,): (batch, fewer steps, width) and their lengths."""
        if not len(self):
            return rows, lengths
        features = without_padding(rows.transpose(1, 2), lengths)
        for block in self:
            features, lengths = block(features, lengths)
        return features.transpose(1, 2), lengths


def _convolution(config: BlockConfig, inputs: int, kernel: int, stride: int) -> nn.Conv1d:
    return nn.Conv1d(inputs, config.width, kernel, stride, bias=not config.batch_norm)


def _shortened(lengths: Tensor, stride: int) -> Tensor:
    return (lengths + stride - 1) // stride


def without_padding(features: Tensor, lengths: Tensor) -> Tensor:
    """features (batch, width, steps) with zeros past each row's length."""
    positions = torch.arange(features.shape[2], device=features.device).unsqueeze(0)  # 1 x steps
    return features.masked_fill((positions >= lengths.unsqueeze(1)).unsqueeze(1), 0)
