"""Convolution and pooling over neighbouring steps of a padded batch, each row as if it were alone."""

from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor, nn

from app.models.activations import function_of
from app.models.steps import Steps
from app.store.windowed_stages import Convolution as ConvolutionConfig
from app.store.windowed_stages import Pool as PoolConfig


class Convolution(nn.Module):
    """One convolution over time: parameters `weight` (width, inputs, kernel) and `bias`, as in `nn.Conv1d`."""

    def __init__(self, config: ConvolutionConfig, inputs: int) -> None:
        super().__init__()
        self.config = config
        bound = (inputs * config.kernel) ** -0.5
        self.weight = nn.Parameter(torch.empty(config.width, inputs, config.kernel).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(config.width).uniform_(-bound, bound))
        self._function = function_of(config.activation, config.slope)

    def forward(self, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
        """rows (batch, steps, inputs) to (batch, other steps, width)."""
        windows, lengths = _spread(self.config, rows, steps.lengths, 0)
        features = nn.functional.conv1d(
            windows.transpose(1, 2), self.weight, self.bias, self.config.stride, 0, self.config.dilation
        )
        return self._function(features.transpose(1, 2)), Steps(lengths)


class Pool(nn.Module):
    """The maximum or mean over windows. It has no parameters."""

    def __init__(self, config: PoolConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, rows: Tensor, steps: Steps) -> tuple[Tensor, Steps]:
        """rows (batch, steps, features) to (batch, other steps, features)."""
        match self.config.function:
            case "max":
                windows, lengths = _spread(self.config, rows, steps.lengths, float("-inf"))
                return self._over(nn.functional.max_pool1d, windows), Steps(lengths)
            case "mean":
                windows, lengths = _spread(self.config, rows, steps.lengths, 0)
                mean = self._over(nn.functional.avg_pool1d, windows)
                if self.config.padding == "same":  # only real steps count
                    ones = steps.real(rows.shape[1]).to(rows.dtype).unsqueeze(2)
                    share, _ = _spread(self.config, ones, steps.lengths, 0)
                    mean = mean / self._over(nn.functional.avg_pool1d, share)
                return mean, Steps(lengths)
            case _:
                assert_never(self.config.function)

    def _over(self, function: Callable[..., Tensor], windows: Tensor) -> Tensor:
        return function(windows.transpose(1, 2), self.config.size, self.config.stride).transpose(1, 2)


def _spread(
    config: ConvolutionConfig | PoolConfig, rows: Tensor, lengths: Tensor, fill: float
) -> tuple[Tensor, Tensor]:
    """rows (batch, steps, features) with `fill` before and after the steps of each, so that its first window begins at
    its first place: (batch, places, features), and the number of windows of each row (batch,)."""
    before, after = _padding(config, lengths)
    windows = (lengths + before + after - config.reach) // config.moves_by + 1
    most = max(1, config.steps(rows.shape[1]))
    places = torch.arange((most - 1) * config.moves_by + config.reach, device=rows.device).unsqueeze(0)
    source = places - before.unsqueeze(1)
    is_real = (source >= 0) & (source < lengths.unsqueeze(1))
    index = source.clamp(0, rows.shape[1] - 1).unsqueeze(2).expand(-1, -1, rows.shape[2])
    return rows.gather(1, index).masked_fill(~is_real.unsqueeze(2), fill), windows


def _padding(config: ConvolutionConfig | PoolConfig, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Steps that are added before and after each row (batch,)."""
    nothing = torch.zeros_like(lengths)
    match config.padding:
        case "valid":
            return nothing, nothing
        case "causal":
            return nothing + config.reach - 1, nothing
        case "same":
            windows = (lengths + config.moves_by - 1) // config.moves_by
            missing = ((windows - 1) * config.moves_by + config.reach - lengths).clamp(min=0)
            return missing // 2, missing - missing // 2
        case int():
            return nothing + config.padding, nothing + config.padding
        case _:
            assert_never(config.padding)
