"""Forecaster: rows of numbers to the rows that follow, at once or step by step."""

import torch
from torch import Tensor, nn

from app.models.activations import function_of
from app.models.cells import RecurrentState
from app.models.encoders import Encoded, SeriesEncoder
from app.models.head import Head
from app.models.pooling import attention_of, last_outputs, pooled
from app.models.recurrent import Recurrent
from app.store.forecaster import Forecaster as ForecasterConfig
from app.store.forecaster import ValueDecoder as ValueDecoderConfig


class ValueDecoder(nn.Module):
    """A recurrence over rows of targets, or over the pooled source in each step."""

    def __init__(self, config: ValueDecoderConfig, inputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.recurrence = Recurrent(config.recurrence(inputs), dropout=dropout)


class Forecaster(nn.Module):
    """`forecast` makes the rows that follow a series at once. With feedback or a decoder, `start` and `step` make them
    one by one. All numbers are scaled."""

    def __init__(self, config: ForecasterConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.encoder = SeriesEncoder(config.encoder, dropout=dropout)
        self.attention = attention_of(config.attention, config.encoder.memory_size)
        self.decoder: ValueDecoder | None = None
        width, outputs = config.pooled_size, config.horizon * config.targets
        if config.decoder is not None:
            inputs = config.targets if config.is_fed else config.pooled_size
            self.decoder = ValueDecoder(config.decoder, inputs, dropout=dropout)
            width, outputs = config.decoder.hidden_size, config.targets
        elif config.per_step:
            width, outputs = config.encoder.memory_size, config.targets
        self.head = Head(config.head, width, config.norm)
        self.output = nn.Linear(self.head.output_size, outputs)
        self.dropout = nn.Dropout(dropout)
        self._function = function_of(config.output_activation, config.slope)

    def forecast(self, encoded: Encoded) -> Tensor:
        """An encoded series to the rows that follow it (batch, horizon, targets), unless a decoder is fed with them."""
        config = self.config
        assert not config.is_fed
        if config.per_step:
            return self._rows(last_outputs(encoded, config.horizon))
        summary = pooled(config.pooling, encoded, self.attention)
        if self.decoder is not None:
            inputs = summary.unsqueeze(1).repeat(1, config.horizon, 1)
            assert config.decoder is not None
            first = encoded.state if config.decoder.continues else None
            outputs, _ = self.decoder.recurrence.unroll(inputs, torch.full_like(encoded.lengths, config.horizon), first)
            return self._rows(outputs)
        return self._rows(summary).view(-1, config.horizon, config.targets)

    def start(self, encoded: Encoded, last: Tensor) -> tuple[Tensor, RecurrentState]:
        """The first arguments of `step`, after an encoded series whose last row has the targets `last` (batch,
        targets). With feedback `state`, the first of them is already the first row of the forecast."""
        assert encoded.state is not None
        if self.config.decoder is None:
            return self.forecast(encoded)[:, 0], encoded.state
        return last if self.config.decoder.first_input == "last" else torch.zeros_like(last), encoded.state

    def step(self, previous: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """The row before (batch, targets) and the state after it to the next row (batch, targets) and state."""
        recurrence = self.encoder.recurrence if self.decoder is None else self.decoder.recurrence
        output, state = recurrence.step(previous, state)
        return self._rows(output), state

    def forward(self, rows: Tensor, lengths: Tensor, last: Tensor | None = None, steps: int | None = None) -> Tensor:
        """Series (batch, source, features) with lengths (batch,) to the rows that follow (batch, steps, targets): as
        many as the horizon, or `steps` with feedback or a decoder. `last`: see `start`."""
        config = self.config
        if not config.is_stepwise:
            return self.forecast(self.encoder(rows, lengths))
        steps = steps or config.horizon
        if config.feedback == "window":
            return self._reread(rows, lengths, steps)
        encoded = self.encoder(rows, lengths)
        if last is None:
            assert config.decoder is None or config.decoder.first_input == "zeros"
            last = rows.new_zeros(len(rows), config.targets)
        row, state = self.start(encoded, last)
        forecast = [row] if self.decoder is None else []
        while len(forecast) < steps:
            row, state = self.step(row, state)
            forecast.append(row)
        return torch.stack(forecast, 1)

    def _reread(self, rows: Tensor, lengths: Tensor, steps: int) -> Tensor:
        """The window moves over each row of the forecast."""
        forecast: list[Tensor] = []
        for _ in range(steps):
            row = self.forecast(self.encoder(rows, lengths))[:, 0]
            forecast.append(row)
            rows = moved(rows, lengths, row)
        return torch.stack(forecast, 1)

    def _rows(self, features: Tensor) -> Tensor:
        """(..., features) to one row, or `horizon` rows side by side."""
        return self._function(self.output(self.head(self.dropout(features))))


def moved(windows: Tensor, lengths: Tensor, rows: Tensor) -> Tensor:
    """Windows (batch, source, features) with lengths (batch,), without their first row, and with one of `rows` (batch,
    features) at their end."""
    positions = torch.arange(windows.shape[1], device=windows.device).unsqueeze(0)
    is_last = (positions == lengths.unsqueeze(1) - 1).unsqueeze(2)
    return torch.where(is_last, rows.unsqueeze(1), windows.roll(-1, 1))
