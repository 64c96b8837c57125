"""The stages before and after a recurrence. Each maps rows (batch, steps, features) of a padded batch and their
`Steps` to others; what stands past a row's length is undefined before and after."""

from typing import assert_never

import torch
from torch import Tensor, nn

from app.models.activations import function_of
from app.models.blocks import Block, without_padding
from app.models.head import norm_of, through
from app.models.recurrent import Recurrent
from app.models.steps import Steps, beside_input, joined_directions, unroll
from app.models.windowed import Convolution, Pool
from app.store.block import Block as BlockConfig
from app.store.stages import Affine as AffineConfig
from app.store.stages import LayerNorm as LayerNormConfig
from app.store.stages import LinearStage as LinearConfig
from app.store.stages import RecurrenceStage as RecurrenceConfig
from app.store.stages import Stage
from app.store.stages import Stages as StagesConfig
from app.store.windowed_stages import Convolution as ConvolutionConfig
from app.store.windowed_stages import Pool as PoolConfig


class Stages(nn.ModuleList):
    """Stages, one after the other: parameters `0.weight`, `1.recurrence.weight_ih_l0` ..."""

    def __init__(self, configs: StagesConfig, inputs: int) -> None:
        super().__init__()
        for config in configs:
            self.append(_stage(config, inputs))
            inputs = config.output_size(inputs)

    def forward(self, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
        """rows (batch, steps, features) to (batch, perhaps fewer steps, other features)."""
        for stage in self:
            rows, steps = _through_block(stage, rows, steps) if isinstance(stage, Block) else stage(rows, steps)
        return rows, steps


def _through_block(block: Block, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
    """A block has features before steps, and zeros past each row's length."""
    features, lengths = block(without_padding(rows.transpose(1, 2), steps.lengths), steps.lengths)
    return features.transpose(1, 2), Steps(lengths)


def _stage(config: Stage, inputs: int) -> nn.Module:
    match config:
        case BlockConfig():
            return Block(config, inputs)
        case ConvolutionConfig():
            return Convolution(config, inputs)
        case PoolConfig():
            return Pool(config)
        case LinearConfig():
            return Linear(config, inputs)
        case AffineConfig():
            return Affine(config, inputs)
        case LayerNormConfig():
            return LayerNorm(config, inputs)
        case RecurrenceConfig():
            return Recurrence(config)
        case _:
            assert_never(config)


class Linear(nn.Module):
    """A layer of a head, on every step: parameters `weight`, `bias`, and `norm.weight` ... of batch normalisation."""

    def __init__(self, config: LinearConfig, inputs: int) -> None:
        super().__init__()
        self.config = config
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(config.size, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(config.size).uniform_(-bound, bound))
        self.norm = norm_of(config, inputs)

    def forward(self, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
        """See `Stages.forward`."""
        return through(self.config, self._linear, self.norm, rows), steps

    def _linear(self, rows: Tensor) -> Tensor:
        return nn.functional.linear(rows, self.weight, self.bias)


class Affine(nn.Module):
    """Parameters `scale` and `shift` (features,)."""

    def __init__(self, config: AffineConfig, inputs: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(inputs)), nn.Parameter(torch.zeros(inputs))
        self._function = function_of(config.activation, config.slope)

    def forward(self, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
        """See `Stages.forward`."""
        return self._function(rows * self.scale + self.shift), steps


class LayerNorm(nn.Module):
    """Parameters `weight` and `bias` (features,)."""

    def __init__(self, config: LayerNormConfig, inputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(inputs)), nn.Parameter(torch.zeros(inputs))
        self._epsilon = config.epsilon

    def forward(self, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
        """See `Stages.forward`."""
        return nn.functional.layer_norm(rows, self.weight.shape, self.weight, self.bias, self._epsilon), steps


class Recurrence(nn.Module):
    """A recurrence of its own: parameters `recurrence.weight_ih_l0` ..."""

    def __init__(self, config: RecurrenceConfig) -> None:
        super().__init__()
        self.config = config
        self.recurrence = Recurrent(config.recurrence)

    def forward(self, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
        """See `Stages.forward`. Each row starts from zeros. A mask stays in the order of the source, also behind
        `reverse` (Keras)."""
        config, rows = self.config, steps.zeroed(rows)
        outputs, _ = unroll(self.recurrence, rows, steps, masked_outputs=config.masked_outputs)
        outputs = joined_directions(outputs, config.recurrence.directions, config.join)
        return beside_input(outputs, rows, config.keeps_input), steps
