"""What files contain: networks with many names or long ones, and lists under names that only look like others."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from app.errors import ImportFailed
from app.importers.blocks import residual_in
from app.importers.checkpoint import Checkpoint, checkpoint_of
from app.importers.reading import read


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


class LstmTransformer(nn.Module):
    """A module whose class has the name of a kind of sklearn."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(2, 3), nn.Linear(3, 1)


def _read(folder: Path, content: Any) -> Checkpoint:
    torch.save(content, folder / "model.pt")
    return checkpoint_of([read(folder / "model.pt")])


def test_a_class_that_only_looks_like_a_scaler(tmp_path: Path) -> None:
    module = LstmTransformer()
    assert "fc.weight" in _read(tmp_path, module).network
    beside = {"model": module.state_dict(), "scaler": torch.amp.GradScaler("cpu"), "n": {"minimum": 9, "maximum": 5}}
    assert not _read(tmp_path, beside).scalers


@pytest.mark.parametrize("name", ["example_vocab", "sampler", "loopster", "adopted"])
def test_entries_whose_names_contain_words_of_training(name: str) -> None:
    words = {name: ["a", "b", "c"], "fc.weight": {"w": torch.zeros(1)}}
    assert list(checkpoint_of([words]).vocabularies) == [f"0.{name}"]


@pytest.mark.parametrize("name", ["optimizer_state_dict", "lr_schedulers", "amp", "g_opt", "scheduler", "callbacks"])
def test_the_state_of_training_is_left_out(name: str) -> None:
    files = {name: {"exp_avg": torch.zeros(1)}, "model": {"w": torch.zeros(1)}}
    assert list(checkpoint_of([files]).networks) == ["0.model"]
