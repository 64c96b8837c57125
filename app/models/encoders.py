"""Encoders: a source to a memory for attention or pooling, and to a summary that starts a decoder."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from app.models.blocks import Blocks
from app.models.cells import RecurrentState
from app.models.head import Head
from app.models.recurrent import Recurrent
from app.models.resnet import ResNet
from app.store.architecture import FramesEncoder as FramesEncoderConfig
from app.store.architecture import ImageEncoder as ImageEncoderConfig
from app.store.architecture import Pooling
from app.store.architecture import SeriesEncoder as SeriesEncoderConfig
from app.store.architecture import TextEncoder as TextEncoderConfig

NO_POOLS: Mapping[Pooling, Tensor] = MappingProxyType({})


class Encoded(NamedTuple):
    """memory (batch, source, memory), its mask (batch, source), summary (batch, memory), the last recurrent state, and
    the output of a second path over the source (batch, branch). `pools` are outputs that were pooled while the source
    was read in parts (batch, memory): `memory` has the last one alone."""

    memory: Tensor
    memory_mask: Tensor
    summary: Tensor
    state: RecurrentState | None
    branch: Tensor | None = None
    pools: Mapping[Pooling, Tensor] = NO_POOLS

    def rows(self, index: Tensor) -> "Encoded":
        """Some sources of the batch, by their index (rows,)."""
        state = self.state
        if state is not None:
            state = RecurrentState(state.hidden[index], None if state.cell is None else state.cell[index])
        branch = None if self.branch is None else self.branch[index]
        pools = {pooling: pool[index] for pooling, pool in self.pools.items()}
        return Encoded(self.memory[index], self.memory_mask[index], self.summary[index], state, branch, pools)

    @property
    def lengths(self) -> Tensor:
        """Rows of each memory (batch,). A series may be shortened on its way to it."""
        return self.memory_mask.sum(1)


class RecurrentEncoder(nn.Module):
    """A recurrence over the inputs that `embed` makes of a source.

    The summary is the top layer's last hidden state, of both directions. With
    one direction, `state` is that after an earlier part of the source.
    """

    recurrence: Recurrent
    joins_by_sum = False

    def embed(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A padded source and its lengths (batch,) to the inputs of the recurrence (batch, steps, input) and theirs."""
        raise NotImplementedError

    def branch_of(self, source: Tensor, lengths: Tensor) -> Tensor | None:
        """The output (batch, branch) of a second path over the source, if there is one."""
        return None

    def forward(
        self, source: Tensor, lengths: Tensor, state: RecurrentState | None = None, *, layers: int | None = None
    ) -> Encoded:
        """A source padded on the right, with lengths (batch,) at least 1, through all layers of the recurrence or the
        first `layers` of them."""
        inputs, steps = self.embed(source, lengths)
        encoded = self.unroll(inputs, steps, state, layers=layers)
        return encoded._replace(branch=self.branch_of(source, lengths))

    def unroll(
        self, inputs: Tensor, lengths: Tensor, state: RecurrentState | None = None, *, layers: int | None = None
    ) -> Encoded:
        """The inputs and lengths that `embed` returns to the encoded source, without its branch."""
        outputs, state = self.recurrence.unroll(inputs, lengths, state, layers=layers)
        mask = torch.arange(inputs.shape[1], device=inputs.device).unsqueeze(0) < lengths.unsqueeze(1)
        directions = self.recurrence.recurrence.directions
        if self.joins_by_sum:
            outputs = outputs.view(*outputs.shape[:2], directions, -1).sum(2)
        memory = outputs.masked_fill(~mask.unsqueeze(2), 0)  # outputs on padding must not enter a sum
        last = state.hidden[:, -directions:]
        summary = last.sum(1) if self.joins_by_sum else last.flatten(1)
        return Encoded(memory, mask, summary, state)


class TextEncoder(RecurrentEncoder):
    """Token ids (batch, source): an embedding and a recurrence over it."""

    def __init__(self, config: TextEncoderConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary_size, config.recurrence.input_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.recurrence = Recurrent(config.recurrence, dropout=dropout)
        self.joins_by_sum = config.join == "sum"
        self.dropout = nn.Dropout(dropout)

    def embed(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.dropout(self.embedding(source)), lengths


class SeriesEncoder(RecurrentEncoder):
    """Rows of numbers (batch, steps, features): blocks of convolutions over time, and a recurrence over them; with
    `branch`, more blocks beside them, averaged over time (Karim et al. 2018, section III.A)."""

    def __init__(self, config: SeriesEncoderConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = Blocks(config.blocks, config.features)
        self.recurrence = Recurrent(config.recurrence, dropout=dropout)
        self.branch = Blocks(config.branch, config.features)
        self.is_transposed = config.transposed is not None

    def embed(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if self.is_transposed:  # a step for each feature; all rows have the length of the window
            return source.transpose(1, 2).contiguous(), torch.full_like(lengths, source.shape[2])
        rows, lengths = self.blocks(source, lengths)
        return rows, lengths

    def branch_of(self, source: Tensor, lengths: Tensor) -> Tensor | None:
        if not len(self.branch):
            return None
        rows, lengths = self.branch(source, lengths)
        return rows.sum(1) / lengths.unsqueeze(1)  # type: ignore[no-any-return]  # rows past a length are 0


class FramesEncoder(RecurrentEncoder):
    """Images (batch, frames, height, width, 3) of uint8, RGB: an image encoder, the layers of `head`, and a recurrence
    (Donahue et al. 2015, section 3)."""

    def __init__(
        self, config: FramesEncoderConfig, *, mean: list[float], std: list[float], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.image = ImageEncoder(config.image, mean=mean, std=std)
        self.head = Head(config.head, config.image.memory_size)
        self.recurrence = Recurrent(config.recurrence, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def embed(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames past a row's length are not encoded."""
        positions = torch.arange(source.shape[1], device=source.device).unsqueeze(0)
        real = positions < lengths.unsqueeze(1)  # batch x frames
        features = self.head(self.image(source[real], lengths).summary)
        inputs = features.new_zeros(*real.shape, features.shape[1])
        inputs[real] = features
        return self.dropout(inputs), lengths


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
