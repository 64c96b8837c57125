"""Attention: the weights of a memory's positions for a query, and the context they give.

Scores after Luong et al. (2015, section 3.1): dot, general, additive (`concat` there; Bahdanau et al. 2015, appendix
A.1.2). `gated` is additive and multiplies the context by a gate per feature (Xu et al. 2015, section 4.2.1). `location`
scores positions without their keys (Luong et al. 2015, equation 8).
"""

from typing import assert_never

import torch
from torch import Tensor, nn

from app.models.serving import native
from app.store.attention import Attention as AttentionConfig


class Attention(nn.Module):
    """Scores of a query against keys, and the weighted sum of the memory.

    `keys` projects the memory for the score function. They are computed once per source and are part of its state.
    """

    def __init__(self, config: AttentionConfig, *, memory_size: int, query_size: int, embedding_size: int = 0) -> None:
        super().__init__()
        assert config.kind != "none"  # a decoder without attention has no such module
        self.kind = config.kind
        self.activation = torch.relu if config.activation == "relu" else torch.tanh
        self.by_sigmoid = False  # set for serving, see `_additive`
        self.natively = False  # set for serving: a single query per row runs in `native.attend`
        match self.kind:
            case "fixed" | "dot":
                pass
            case "general":
                self.key = nn.Linear(memory_size, query_size, bias=False)
            case "location":
                assert config.size is not None
                self.score = nn.Linear(embedding_size + query_size, config.size)
            case "additive" | "gated":
                assert config.size is not None
                self.key = nn.Linear(memory_size, config.size)
                self.query = nn.Linear(query_size, config.size)
                self.score = nn.Linear(config.size, 1, bias=False)
                if self.kind == "gated":
                    self.gate = nn.Linear(query_size, memory_size)
            case _:
                assert_never(self.kind)

    def keys(self, memory: Tensor) -> Tensor:
        """(batch, source, memory) to (batch, source, key)."""
        match self.kind:
            case "fixed" | "location" | "dot":
                return memory
            case "general" | "additive" | "gated":
                keys: Tensor = self.key(memory)
                return keys
            case _:
                assert_never(self.kind)

    def forward(
        self, query: Tensor, keys: Tensor, memory: Tensor, memory_mask: Tensor, embedded: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """query (batch, target, query), memory_mask (batch, source) true on real positions: context (batch, target,
        memory) and weights (batch, target, source) that sum to 1. `location` needs embedded (batch, target, embedding);
        its weights sum to less than 1 when part of them lies past the end of the source."""
        match self.kind:
            case "fixed":
                context = memory[:, :1].expand(-1, query.shape[1], -1)
                return context, context.new_ones(*context.shape[:2], 1)
            case "location":
                assert embedded is not None
                scores = self.score(torch.cat((embedded, query), 2))
                weights = scores.float().softmax(2).to(memory.dtype)[:, :, : memory.shape[1]]
                return weights @ memory[:, : weights.shape[2]], weights  # the memory of padding is 0
            case "dot" | "general":
                if self.natively and query.shape[1] == 1:
                    context, weights = native.attend(query[:, 0], keys, memory, memory_mask)
                    return context.unsqueeze(1), weights.unsqueeze(1)
                return _weighted(query @ keys.transpose(1, 2), memory, memory_mask)
            case "additive":
                return _weighted(self._additive(query, keys), memory, memory_mask)
            case "gated":
                context, weights = _weighted(self._additive(query, keys), memory, memory_mask)
                return torch.sigmoid(self.gate(query)) * context, weights
            case _:
                assert_never(self.kind)

    def _additive(self, query: Tensor, keys: Tensor) -> Tensor:
        """query (batch, target, query) and keys (batch, source, key) to scores (batch, target, source).

        With `by_sigmoid`, tanh(x) is 2 sigmoid(2x) - 1, which is five times as fast in torch on a CPU. The constant is
        the same for all positions of a source, so the softmax drops it.
        """
        sums = self.query(query).unsqueeze(2) + keys.unsqueeze(1)  # batch x target x source x key
        if self.by_sigmoid and self.activation is torch.tanh:
            scores: Tensor = self.score(sums.mul_(2).sigmoid_())
            return scores.squeeze(3).mul_(2)
        scores = self.score(self.activation(sums))
        return scores.squeeze(3)


def _weighted(scores: Tensor, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, Tensor]:
    """scores (batch, target, source) to context (batch, target, memory) and weights (batch, target, source)."""
    scores = scores.masked_fill(~memory_mask.unsqueeze(1), float("-inf"))
    weights = scores.float().softmax(2).to(memory.dtype)
    return weights @ memory, weights
