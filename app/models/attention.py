"""Attention over a memory: where a decoder looks at each step.

Scores after Luong et al. (2015, section 3.1): dot, general, additive (their `concat`, Bahdanau et al. 2015,
appendix A.1.2); `gated` adds a gate on the context after Xu et al. (2015, section 4.2.1), one per feature;
`location` scores positions without looking at them (Luong et al. 2015, equation 8).
"""

import torch
from torch import Tensor, nn

from app.models.serving import native
from app.store.architecture import Attention as AttentionConfig


class Attention(nn.Module):
    """Scores of a query against keys, and the weighted sum of the memory.

    The keys are the memory as the score function wants it: computed once per source by `keys`, then part of
    the request's state.
    """

    def __init__(self, config: AttentionConfig, *, memory_size: int, query_size: int, embedding_size: int = 0) -> None:
        super().__init__()
        self.kind = config.kind
        self.activation = torch.relu if config.activation == "relu" else torch.tanh
        self.by_sigmoid = False  # set for serving, see `_mix`
        self.natively = False  # set for serving: one query per row goes to `native.attend`
        if config.kind == "general":
            self.key = nn.Linear(memory_size, query_size, bias=False)
        elif config.kind == "location":
            assert config.size is not None
            self.score = nn.Linear(embedding_size + query_size, config.size)
        elif config.size is not None:
            self.key = nn.Linear(memory_size, config.size)
            self.query = nn.Linear(query_size, config.size)
            self.score = nn.Linear(config.size, 1, bias=False)
        if config.kind == "gated":
            self.gate = nn.Linear(query_size, memory_size)

    def keys(self, memory: Tensor) -> Tensor:
        """(batch, source, memory) to (batch, source, key)."""
        return memory if self.kind in ("fixed", "location", "dot") else self.key(memory)

    def _mix(self, sums: Tensor) -> Tensor:
        """sums of query and key (batch, target, source, key) to scores (batch, target, source).

        With `by_sigmoid`, tanh(x) is 2 sigmoid(2x) - 1, five times as fast in torch on a CPU; the constant is the same
        for all positions of a source, so the softmax drops it.
        """
        if self.by_sigmoid and self.activation is torch.tanh:
            scores: Tensor = self.score(sums.mul_(2).sigmoid_())
            return scores.squeeze(3).mul_(2)
        scores = self.score(self.activation(sums))
        return scores.squeeze(3)

    def forward(
        self, query: Tensor, keys: Tensor, memory: Tensor, memory_mask: Tensor, embedded: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """query (batch, target, query), memory_mask (batch, source) true on real positions: context (batch, target,
        memory) and weights (batch, target, source) that sum to 1. `location` needs embedded (batch, target, embedding),
        and its weights may sum to less, as it may look past the end."""
        if self.kind == "fixed":
            context = memory[:, :1].expand(-1, query.shape[1], -1)
            return context, context.new_ones(*context.shape[:2], 1)
        if self.kind == "location":
            assert embedded is not None
            scores = self.score(torch.cat((embedded, query), 2))
            weights = scores.float().softmax(2).to(memory.dtype)[:, :, : memory.shape[1]]
            return weights @ memory[:, : weights.shape[2]], weights  # the memory of padding is 0
        if self.natively and self.kind in ("dot", "general") and query.shape[1] == 1:
            context, weights = native.attend(query[:, 0], keys, memory, memory_mask)
            return context.unsqueeze(1), weights.unsqueeze(1)
        if self.kind in ("dot", "general"):
            scores = query @ keys.transpose(1, 2)
        else:
            scores = self._mix(self.query(query).unsqueeze(2) + keys.unsqueeze(1))
        scores = scores.masked_fill(~memory_mask.unsqueeze(1), float("-inf"))
        weights = scores.float().softmax(2).to(memory.dtype)
        context = weights @ memory
        if self.kind == "gated":
            context = torch.sigmoid(self.gate(query)) * context
        return context, weights
