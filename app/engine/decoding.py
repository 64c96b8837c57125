"""Choosing tokens, as tensor operations on rows."""

from torch import Tensor


def greedy(logits: Tensor, suppressed: Tensor) -> tuple[Tensor, Tensor]:
    """The most probable token of each row and its log-probability.

    logits (batch, vocabulary), suppressed (vocabulary,) of 0 and -inf: tokens (batch,), log-probabilities (batch,).
    """
    log_probs = (logits.float() + suppressed).log_softmax(1)
    best = log_probs.max(1)
    return best.indices, best.values
