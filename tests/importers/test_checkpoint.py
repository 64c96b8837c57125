"""What files contain: networks with many names or long ones, and lists under names that only look like others."""

import pytest
import torch
from torch import nn

from app.errors import ImportFailed
from app.importers.blocks import residual_in
from app.importers.checkpoint import checkpoint_of


def test_more_tensors_than_networks_have() -> None:
    tensor = torch.zeros(1)
    with pytest.raises(ImportFailed, match=r"10,001 tensors; the limit is 10,000"):
        checkpoint_of([{f"part{number}.weight": tensor for number in range(10_001)}])


def test_a_name_of_a_tensor_is_too_long() -> None:
    with pytest.raises(ImportFailed, match=r"the name a\.a.* of a tensor has more than 1,000 characters"):
        checkpoint_of([{"a." * 1000 + "weight": torch.zeros(1)}])


def test_a_hundred_wrappers() -> None:
    assert list(checkpoint_of([{"module." * 100 + "fc.weight": torch.zeros(1)}]).network) == ["fc.weight"]


def test_blocks_are_read_in_one_pass() -> None:
    count = 1_400
    blocks = {f"block{number}.conv{part}.weight": torch.zeros(1, 1, 1) for number in range(count) for part in (1, 2)}
    norms = {
        f"block{number}.bn{part}.{name}": torch.ones(1)
        for number in range(count)
        for part in (1, 2)
        for name in ("running_mean", "running_var")
    }
    found = residual_in(checkpoint_of([{**blocks, **norms, **nn.Linear(1, 1).state_dict(prefix="fc.")}]))
    assert found is not None
    assert len(found.blocks) == count
    assert list(found.rest.network) == ["fc.weight", "fc.bias"]
