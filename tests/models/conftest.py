"""Every test starts from the same random numbers, on one thread."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def torch_convolutions() -> Iterator[None]:
    """Without oneDNN: with AVX2 alone, its gradient of a convolution of thin channels writes past its memory."""
    with torch.backends.mkldnn.flags(enabled=False):
        yield
