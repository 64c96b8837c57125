"""Pooling by the native kernels: the largest and the sum of the steps of each row."""

import pytest
import torch

from app.models.serving.native import available, largest, summed

pytestmark = pytest.mark.skipif(
    not available(), reason="native kernels not built (no C compiler), or a processor without AVX2"
)


@pytest.mark.parametrize("size", [1, 5, 384])
@pytest.mark.parametrize("begun", [False, True])
def test_steps_are_pooled_one_after_the_other(size: int, begun: bool) -> None:
    """As torch does it, with the same bits wherever a row is cut, and without what is past a row's length."""
    lengths = torch.tensor([7, 1, 30, 0])
    memory = torch.randn(4, 30, size) * 1e3
    before, total = torch.randn(4, size), torch.randn(4, size, dtype=torch.float64)
    found = largest(memory, lengths, before if begun else None), summed(memory, lengths, total if begun else None)
    for row, length in enumerate(lengths):
        steps = memory[row, :length]
        first = [before[row, None]] if begun else [torch.full((1, size), float("-inf"))]
        assert torch.equal(found[0][row], torch.cat([*first, steps]).amax(0))
        start = total[row, None] if begun else torch.zeros(1, size, dtype=torch.float64)
        assert torch.equal(found[1][row], torch.cat([start, steps.double()]).cumsum(0)[-1])
    half = lengths // 2
    rest = [torch.cat([memory[row, half[row] :], memory[row, : half[row]]]) for row in range(4)]
    again = summed(torch.stack(rest), lengths - half, summed(memory, half, total if begun else None))
    assert torch.equal(found[1], again)


def test_a_step_that_is_no_number_is_the_largest() -> None:
    memory = torch.tensor([[[1.0, float("nan")], [2.0, 3.0]]])
    assert largest(memory, torch.tensor([2])).isnan().tolist() == [[False, True]]


def test_wrong_steps_to_pool_are_refused() -> None:
    memory, lengths = torch.zeros(2, 3, 4), torch.tensor([3, 3])
    with pytest.raises(ValueError, match="float32"):
        summed(memory.double(), lengths)
    with pytest.raises(ValueError, match="int64"):
        largest(memory, lengths.int())
    with pytest.raises(ValueError, match="more than 3"):
        summed(memory, lengths + 1)
    with pytest.raises(ValueError, match="kept before"):
        largest(memory, lengths, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="float64"):
        summed(memory, lengths, torch.zeros(2, 4))
