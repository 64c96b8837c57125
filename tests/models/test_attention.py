"""Attention against the papers' formulas, one query and one memory row at a time."""

import pytest
import torch
from torch import Tensor

from app.models.attention import Attention
from app.store.attention import Attention as AttentionConfig
from app.store.attention import AttentionKind
from tests.models.references import attend, mask_of

KINDS: list[AttentionKind] = ["dot", "general", "additive", "gated"]
BATCH, TARGET, SOURCE, QUERY, KEY = 4, 3, 7, 6, 5

every_kind = pytest.mark.parametrize("kind", KINDS)


def memory_size(kind: AttentionKind) -> int:
    return QUERY if kind == "dot" else 8


def build(kind: AttentionKind) -> Attention:
    config = AttentionConfig(kind=kind, size=KEY if kind in ("additive", "gated") else None)
    return Attention(config, memory_size=memory_size(kind), query_size=QUERY)


def mask(shape: str) -> Tensor:
    if shape == "full":
        return torch.ones(BATCH, SOURCE, dtype=torch.bool)
    if shape == "right":
        return mask_of(torch.tensor([3, SOURCE, 1, 5]), SOURCE)
    holes = torch.rand(BATCH, SOURCE) < 0.5
    holes[:, 4] = True  # no row without a real position
    return holes


@every_kind
@pytest.mark.parametrize("shape", ["full", "right", "holes"])
def test_equals_the_papers_formulas(kind: AttentionKind, shape: str) -> None:
    attention = build(kind).double()
    query = torch.randn(BATCH, TARGET, QUERY).double()
    memory = torch.randn(BATCH, SOURCE, memory_size(kind)).double()
    real = mask(shape)
    with torch.no_grad():
        context, weights = attention(query, attention.keys(memory), memory, real)
    assert context.shape == (BATCH, TARGET, memory_size(kind))
    assert weights.shape == (BATCH, TARGET, SOURCE)
    for row in range(BATCH):
        for target in range(TARGET):
            expected_context, expected_weights = attend(
                kind, attention.state_dict(), query[row, target], memory[row, real[row]]
            )
            # the softmax is taken in float32, whatever the type of the memory
            torch.testing.assert_close(context[row, target], expected_context, rtol=0, atol=1e-6)
            torch.testing.assert_close(weights[row, target, real[row]], expected_weights, rtol=0, atol=1e-6)


@every_kind
@pytest.mark.parametrize("shape", ["full", "right", "holes"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)], ids=["float32", "bfloat16"]
)
def test_weights_sum_to_one_over_real_positions(
    kind: AttentionKind, shape: str, dtype: torch.dtype, tolerance: float
) -> None:
    attention = build(kind).to(dtype)
    query = 10 * torch.randn(BATCH, TARGET, QUERY, dtype=dtype)
    memory = 10 * torch.randn(BATCH, SOURCE, memory_size(kind), dtype=dtype)
    real = mask(shape)
    context, weights = attention(query, attention.keys(memory), memory, real)
    assert context.dtype == weights.dtype == dtype
    assert (weights >= 0).all()
    masked = ~real.unsqueeze(1).expand_as(weights)
    assert torch.equal(weights[masked], torch.zeros_like(weights[masked]))
    torch.testing.assert_close(weights.float().sum(2), torch.ones(BATCH, TARGET), rtol=0, atol=tolerance)


@every_kind
def test_masked_memory_changes_nothing(kind: AttentionKind) -> None:
    attention = build(kind)
    query = torch.randn(BATCH, TARGET, QUERY)
    real = mask("holes")
    memory = torch.randn(BATCH, SOURCE, memory_size(kind))
    noisy = torch.where(real.unsqueeze(2), memory, 100 * torch.randn_like(memory))
    context, weights = attention(query, attention.keys(memory), memory, real)
    noisy_context, noisy_weights = attention(query, attention.keys(noisy), noisy, real)
    assert torch.equal(context, noisy_context)
    assert torch.equal(weights, noisy_weights)


@every_kind
def test_several_queries_equal_one_at_a_time(kind: AttentionKind) -> None:
    attention = build(kind)
    query = torch.randn(BATCH, TARGET, QUERY)
    memory = torch.randn(BATCH, SOURCE, memory_size(kind))
    keys, real = attention.keys(memory), mask("right")
    context, weights = attention(query, keys, memory, real)
    for target in range(TARGET):
        one_context, one_weights = attention(query[:, target : target + 1], keys, memory, real)
        torch.testing.assert_close(context[:, target : target + 1], one_context, rtol=0, atol=1e-6)
        torch.testing.assert_close(weights[:, target : target + 1], one_weights, rtol=0, atol=1e-6)


@every_kind
def test_gradient_equals_that_of_the_formulas(kind: AttentionKind) -> None:
    attention = build(kind)
    query = torch.randn(1, 1, QUERY, requires_grad=True)
    memory = torch.randn(1, SOURCE, memory_size(kind), requires_grad=True)
    real = mask_of(torch.tensor([4]), SOURCE)
    direction = torch.randn(memory_size(kind))
    parameters: dict[str, Tensor] = dict(attention.named_parameters())
    wanted = [query, memory, *parameters.values()]
    context, _ = attention(query, attention.keys(memory), memory, real)
    expected, _ = attend(kind, parameters, query[0, 0], memory[0, :4])
    actual_gradients = torch.autograd.grad(context[0, 0] @ direction, wanted)
    expected_gradients = torch.autograd.grad(expected @ direction, wanted)
    assert not actual_gradients[1][0, 4:].any()  # masked memory gets no gradient at all
    for ours, theirs in zip(actual_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
