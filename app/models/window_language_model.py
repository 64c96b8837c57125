"""Language model without a state: each step reads the last ids of the text anew."""

import torch
from torch import Tensor, nn

from app.models.encoders import TextEncoder
from app.models.head import Head
from app.models.pooling import attention_of, pooled
from app.models.state import State
from app.store.window_language_model import WindowLanguageModel as WindowLanguageModelConfig


class WindowLanguageModel(nn.Module):
    """`encode` keeps the last ids of a text, `step` appends one and reads them all."""

    def __init__(self, config: WindowLanguageModelConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.encoder = TextEncoder(config.encoder, dropout=dropout)
        self.attention = attention_of(config.attention, config.encoder.memory_size)
        self.head = Head(config.head, config.pooled_size, config.norm)
        self.output = nn.Linear(self.head.output_size, config.vocabulary_size)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor, lengths: Tensor) -> State:
        """tokens (batch, source), padded on the right, to the state before the first step. It computes nothing."""
        size = self.config.window
        places = lengths.unsqueeze(1) - size + torch.arange(size, device=source.device)  # of the last ids
        last = source.gather(1, places.clamp(0, source.shape[1] - 1))
        window = last.masked_fill(places < 0, self.config.pad or 0)
        held = lengths - self._padding_before(source, lengths)
        return State(window=window, held=held.clamp(max=size).unsqueeze(1))

    def _padding_before(self, source: Tensor, lengths: Tensor) -> Tensor:
        """How many ids of padding (batch,) each text begins with, as an empty one does: they are none of its ids."""
        if self.config.pad is None:
            return torch.zeros_like(lengths)
        leads = source.eq(self.config.pad).long().cumprod(1).sum(1)
        return torch.minimum(leads, lengths)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State, None]:
        """tokens (batch,) to logits (batch, vocabulary) and the next state. There are no attention weights."""
        size = self.config.window
        window = torch.cat((state["window"][:, 1:], tokens.unsqueeze(1)), 1)
        held = state["held"]
        begins = held.eq(0) & tokens.eq(-1 if self.config.pad is None else self.config.pad).unsqueeze(1)
        held = (held + 1 - begins.long()).clamp(max=size)
        if self.config.pad is None:  # the text alone, padded on the right
            places = (size - held + torch.arange(size, device=window.device)).clamp(max=size - 1)
            if places.device.type == "cpu":  # a GPU has one width for all steps, and does not wait for this one
                places = places[:, : int(held.max())]
            logits = self.forward(window.gather(1, places), held.squeeze(1))
        else:
            logits = self.forward(self._padded(window, held), torch.full_like(tokens, size))
        return logits, State(window=window, held=held), None

    def _padded(self, window: Tensor, held: Tensor) -> Tensor:
        """The window (batch, size), which is padded on the left before the ids that are `held` (batch, 1), with its
        padding on the side of the architecture."""
        if self.config.pad_side == "left":
            return window
        assert self.config.pad is not None  # see `step`
        size = window.shape[1]
        places = torch.arange(size, device=window.device)
        moved = window.gather(1, (size - held + places).clamp(max=size - 1))
        return moved.masked_fill(places >= held, self.config.pad)

    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        """tokens (batch, source), lengths (batch,) to the logits of the next token (batch, vocabulary)."""
        features = pooled(self.config.pooling, self.encoder(source, lengths), self.attention)
        logits: Tensor = self.output(self.head(self.dropout(features)))
        return logits
