"""Encoders: a source to a memory for attention, and to a summary that starts a decoder."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.models.cells import RecurrentState
from app.models.recurrent import Recurrent
from app.models.resnet import ResNet
from app.store.architecture import ImageEncoder as ImageEncoderConfig
from app.store.architecture import TextEncoder as TextEncoderConfig


class Encoded(NamedTuple):
    """memory (batch, source, memory), its mask (batch, source), summary (batch, memory), the last recurrent state."""

    memory: Tensor
    memory_mask: Tensor
    summary: Tensor
    state: RecurrentState | None


class TextEncoder(nn.Module):
    """Embedding and recurrence over token ids padded on the right."""

    def __init__(self, config: TextEncoderConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary_size, config.recurrence.input_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.recurrence = Recurrent(config.recurrence, dropout=dropout)
        self.joins_by_sum = config.join == "sum"
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, lengths: Tensor, state: RecurrentState | None = None) -> Encoded:
        """tokens (batch, source) of ids, lengths (batch,) at least 1. The summary is the top layer's last
        hidden state, of both directions. With one direction, `state` is that after an earlier part of the source."""
        embedded = self.dropout(self.embedding(tokens))
        outputs, state = self.recurrence.unroll(embedded, lengths, state)
        mask = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0) < lengths.unsqueeze(1)
        if self.joins_by_sum:
            outputs = outputs.view(*outputs.shape[:2], self.recurrence.recurrence.directions, -1).sum(2)
        memory = outputs.masked_fill(~mask.unsqueeze(2), 0)  # outputs on padding must not enter a sum
        directions = self.recurrence.recurrence.directions
        last = state.hidden[:, -directions:]
        summary = last.sum(1) if self.joins_by_sum else last.flatten(1)
        return Encoded(memory, mask, summary, state)


class ImageEncoder(nn.Module):
    """A ResNet. Its feature map is the memory: one row per position, row by row from the top left."""

    def __init__(self, config: ImageEncoderConfig, *, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.resnet = ResNet(config.resnet)
        self.output = config.output
        self.grid_side = config.grid_side
        if config.projection is not None:
            self.projection = nn.Sequential(nn.Linear(config.resnet.output_size, config.projection.size))
            if config.projection.batch_norm:
                self.projection.append(nn.BatchNorm1d(config.projection.size))
        self.projects = config.projection is not None
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor, lengths: Tensor) -> Encoded:
        """images (batch, height, width, 3) of uint8, RGB. `lengths` is in the signature of every encoder and is not
        used. The summary is the mean over the feature map."""
        return self.encode_grid(self.feature_map(images))

    def feature_map(self, images: Tensor) -> Tensor:
        """Images as in `forward` to the ResNet's last feature map (batch, features, rows, columns)."""
        shares = images.permute(0, 3, 1, 2).to(self.mean.dtype) / 255  # torchvision's order, for equal bits
        pixels = (shares - self.mean) / self.std
        grid: Tensor = self.resnet(pixels.contiguous(memory_format=torch.channels_last))
        return grid

    def encode_grid(self, grid: Tensor) -> Encoded:
        """Encode a feature map (batch, features, rows, columns). Training calls it with cached maps."""
        if self.grid_side is not None:
            grid = nn.functional.adaptive_avg_pool2d(grid, self.grid_side)
        memory = grid.flatten(2).transpose(1, 2)  # batch x source x features
        summary = memory.mean(1)
        if self.projects:
            summary = self.projection(summary)
        if self.output == "pooled":
            memory = summary.unsqueeze(1)
        mask = torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device)
        return Encoded(memory, mask, summary, None)
