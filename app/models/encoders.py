"""Encoders: a source to a memory for attention or pooling, and to a summary that starts a decoder."""

from abc import ABC, abstractmethod
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
from app.models.stages import Stages
from app.models.steps import Steps, beside_input, joined_directions, unroll
from app.store.encoder_part import Pooling
from app.store.encoders import FramesEncoder as FramesEncoderConfig
from app.store.encoders import RecurrentEncoder as RecurrentEncoderConfig
from app.store.encoders import SeriesEncoder as SeriesEncoderConfig
from app.store.encoders import TextEncoder as TextEncoderConfig
from app.store.image_encoder import ImageEncoder as ImageEncoderConfig

NO_POOLS: Mapping[Pooling, Tensor] = MappingProxyType({})


class Encoded(NamedTuple):
    """memory (batch, source, memory), its mask (batch, source), summary (batch, summary), the last recurrent state, the
    output of a second path over the source (batch, branch), and which steps the recurrence read (batch, source), None
    for all. `pools` are outputs that were pooled while the source was read in parts (batch, memory): `memory` has the
    last one alone. `last_cell` (batch, summary) is the summary's cell, if the recurrence has one."""

    memory: Tensor
    memory_mask: Tensor
    summary: Tensor
    state: RecurrentState | None
    branch: Tensor | None = None
    read: Tensor | None = None
    pools: Mapping[Pooling, Tensor] = NO_POOLS
    last_cell: Tensor | None = None

    def rows(self, index: Tensor) -> "Encoded":
        """Some sources of the batch, by their index (rows,)."""
        state = self.state
        if state is not None:
            state = RecurrentState(state.hidden[index], None if state.cell is None else state.cell[index])
        branch = None if self.branch is None else self.branch[index]
        read = None if self.read is None else self.read[index]
        pools = {pooling: pool[index] for pooling, pool in self.pools.items()}
        cell = None if self.last_cell is None else self.last_cell[index]
        return Encoded(
            self.memory[index], self.memory_mask[index], self.summary[index], state, branch, read, pools, cell
        )

    @property
    def lengths(self) -> Tensor:
        """Rows of each memory (batch,). A source may be shortened on its way to it."""
        return self.memory_mask.sum(1)

    @property
    def counted(self) -> Tensor:
        """The rows of each memory that the recurrence read (batch, source); all rows of one of which it read none."""
        if self.read is None:
            return self.memory_mask
        counted = self.memory_mask & self.read
        return torch.where(counted.any(1, keepdim=True), counted, self.memory_mask)


class RecurrentEncoder(nn.Module, ABC):
    """A recurrence over the inputs that `embed` makes of a source, with stages before it (`front`) and over its outputs
    (`back`).

    The summary is the top layer's last hidden state, of both directions. With
    one direction, `state` is that after an earlier part of the source.
    """

    config: RecurrentEncoderConfig
    front: Stages
    recurrence: Recurrent
    back: Stages

    def _add_recurrence(self, config: RecurrentEncoderConfig, dropout: float) -> None:
        """The parts that all encoders have, after their own: the order of parameters decides their random values."""
        self.config = config
        self.front = Stages(config.front, config.source_size)
        self.recurrence = Recurrent(config.recurrence, dropout=dropout)
        self.back = Stages(config.back, config.output_size)
        self.dropout = nn.Dropout(dropout)

    @abstractmethod
    def features(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Steps]:
        """A padded source and its lengths (batch,) to what the stages of `front` read (batch, steps, features)."""

    def embed(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Steps]:
        """A padded source and its lengths (batch,) to the inputs of the recurrence (batch, steps, input)."""
        rows, steps = self.front(*self.features(source, lengths))
        return rows, steps

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
        self, inputs: Tensor, steps: Steps, state: RecurrentState | None = None, *, layers: int | None = None
    ) -> Encoded:
        """The inputs that `embed` returns to the encoded source, without its branch. The stages of `back` follow the
        last layer only."""
        config = self.config
        if len(self.front):
            inputs = steps.zeroed(inputs)
        outputs, state = unroll(
            self.recurrence, inputs, steps, state, masked_outputs=config.masked_outputs, layers=layers
        )
        directions = config.recurrence.directions
        outputs = joined_directions(outputs, directions, config.join)
        if layers is None:
            outputs, steps = self.back(beside_input(outputs, inputs, config.keeps_input), steps)
        mask = steps.real(outputs.shape[1])
        is_plain = (layers is not None or not len(self.back)) and config.keeps_input is None and steps.read is None
        ends_in_zeros = is_plain and self.recurrence.ends_in_zeros
        # outputs on padding must not enter a sum
        memory = outputs if ends_in_zeros else outputs.masked_fill(~mask.unsqueeze(2), 0)
        summary, last_cell = (
            None if part is None else joined_directions(part[:, -directions:].flatten(1), directions, config.join)
            for part in (state.hidden, state.cell)
        )
        assert summary is not None
        return Encoded(memory, mask, summary, state, read=steps.read, last_cell=last_cell)


class TextEncoder(RecurrentEncoder):
    """Token ids (batch, source): an embedding and a recurrence over it."""

    def __init__(self, config: TextEncoderConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary_size, config.source_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self._add_recurrence(config, dropout)
        self._mask_id = config.mask_id

    def features(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Steps]:
        """See `RecurrentEncoder.features`."""
        read = None if self._mask_id is None else source != self._mask_id
        return self.dropout(self.embedding(source)), Steps(lengths, read)


class SeriesEncoder(RecurrentEncoder):
    """Rows of numbers (batch, steps, features), and a recurrence over them; with `branch`, blocks of convolutions
    beside it, averaged over time (Karim et al. 2018, section III.A)."""

    def __init__(self, config: SeriesEncoderConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self._add_recurrence(config, dropout)
        self.branch = Blocks(config.branch, config.features)
        self._is_transposed = config.is_transposed
        self._mask_value = config.mask_value

    def features(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Steps]:
        """See `RecurrentEncoder.features`."""
        if self._is_transposed:  # a step for each feature; all rows have the length of the window
            return source.transpose(1, 2).contiguous(), Steps(torch.full_like(lengths, source.shape[2]))
        if self._mask_value is None:
            return source, Steps(lengths)
        read = (source != self._mask_value).any(2)
        return source.masked_fill(~read.unsqueeze(2), 0), Steps(lengths, read)

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
        self._add_recurrence(config, dropout)

    def features(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Steps]:
        """See `RecurrentEncoder.features`. Frames past a row's length are not encoded."""
        steps = Steps(lengths)
        real = steps.real(source.shape[1])  # batch x frames
        features = self.head(self.image(source[real], lengths).summary)
        inputs = features.new_zeros(*real.shape, features.shape[1])
        inputs[real] = features
        return self.dropout(inputs), steps


class Normalisation(nn.Module):
    """Images (batch, height, width, 3) of uint8, RGB, to pixels (batch, 3, height, width), channels last."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    @property
    def is_usual(self) -> bool:
        """Whether a value from 0 to 255 becomes 0: what lies around an image then is a pixel, too."""
        return bool(((self.mean >= 0) & (self.mean <= 1)).all())

    def forward(self, images: Tensor) -> Tensor:
        shares = images.permute(0, 3, 1, 2).to(self.mean.dtype) / 255  # torchvision's order, for equal bits
        pixels: Tensor = (shares - self.mean) / self.std
        return pixels.contiguous(memory_format=torch.channels_last)


class ImageEncoder(nn.Module):
    """A ResNet. Its feature map is the memory: one row per position, row by row from the top left."""

    def __init__(self, config: ImageEncoderConfig, *, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.normalisation = Normalisation(mean, std)
        self.resnet = ResNet(config.resnet)
        self.output = config.output
        self.grid_side = config.grid_side
        if config.projection is not None:
            self.projection = nn.Sequential(nn.Linear(config.resnet.output_size, config.projection.size))
            if config.projection.batch_norm:
                self.projection.append(nn.BatchNorm1d(config.projection.size))
        self.projects = config.projection is not None

    def forward(self, images: Tensor, lengths: Tensor) -> Encoded:
        """images (batch, height, width, 3) of uint8, RGB. `lengths` is in the signature of every encoder and is not
        used. The summary is the mean over the feature map."""
        return self.encode_grid(self.feature_map(images))

    def feature_map(self, images: Tensor) -> Tensor:
        """Images as in `forward` to the ResNet's last feature map (batch, features, rows, columns)."""
        grid: Tensor = self.resnet(self.normalisation(images))
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
