"""Several steps of several columns at once: the order of the outputs is asked for, and answered as the module does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unroll
from app.errors import ImportFailed
from app.saving.missing import ArgumentsMissing
from app.store.model_store import open_version
from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, asked, imported, saved

COLUMNS = "--features=a,b,c"
TARGETS = "--targets=a,b,c"


class Horizon(nn.Module):
    """Four steps of three columns, as `shape` says."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.lstm, self.fc, self.shape = nn.LSTM(3, 5, batch_first=True), nn.Linear(5, 12), shape

    def forward(self, rows: Tensor) -> Tensor:
        values: Tensor = self.fc(self.lstm(rows)[0][:, -1]).view(-1, *self.shape)
        return values


@pytest.mark.parametrize("order", ["steps", "targets"])
def test_the_order_is_asked_for(tmp_path: Path, order: str) -> None:
    torch.manual_seed(2)
    module = Horizon(*((4, 3) if order == "steps" else (3, 4)))
    given = (saved(tmp_path, module), COLUMNS, TARGETS)
    assert "--set order=steps" in asked(tmp_path, *given)
    imported(tmp_path, *given, "--usual", f"--set=order={order}")
    rows = torch.randn(6, 3)
    (result,) = answered(tmp_path, [JsonSeries(rows.tolist())])
    with torch.no_grad():
        wanted = module(rows[None])[0]
    for row, ours in zip(wanted if order == "steps" else wanted.T, result["values"], strict=True):
        assert ours == pytest.approx(row.tolist(), abs=1e-5)


def test_one_column_has_one_order(tmp_path: Path) -> None:
    given = (saved(tmp_path, Horizon(12)), COLUMNS)
    assert "order=" not in asked(tmp_path, *given, "--targets=a")


@pytest.mark.parametrize(("shape", "rows"), [((4, 3), False), ((3, 4), True)])
def test_a_module_shows_its_order(tmp_path: Path, shape: tuple[int, int], rows: bool) -> None:
    torch.manual_seed(2)
    module = Horizon(*shape)
    names = ["a", "b", "c"]
    arguments: dict[str, Any] = {
        "features": names,
        "targets": names,
        "scaler": "none",
        "store": tmp_path,
        "quiet": True,
        "window": None,
    }
    kept = unroll.save(module, name="mine", **arguments)
    assert f"order: {'targets' if rows else 'steps'}, as the module answers" in kept.found
    wrong = "steps" if rows else "targets"
    with pytest.raises(ImportFailed, match="would not answer as the module does"):
        unroll.save(module, name="other", order=wrong, usual=True, **arguments)


def test_a_row_of_numbers_shows_no_order(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    with pytest.raises(ArgumentsMissing) as missing:
        unroll.save(Horizon(12), name="mine", features=names, targets=names, scaler="none", store=tmp_path, window=None)
    assert missing.value.arguments == ("order",)


class Ends(nn.Module):
    """A classifier that ends in a function."""

    def __init__(self, function: nn.Module) -> None:
        super().__init__()
        self.emb, self.lstm, self.fc = nn.Embedding(9, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)
        self.function = function

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.function(self.fc(self.lstm(self.emb(ids))[0][:, -1]))
        return scores


@pytest.mark.parametrize(
    ("function", "outputs"),
    [(nn.Sigmoid(), "sigmoid"), (nn.Softmax(1), "softmax"), (nn.LogSoftmax(1), "softmax"), (nn.Identity(), None)],
)
def test_a_module_shows_its_outputs(tmp_path: Path, function: nn.Module, outputs: str | None) -> None:
    torch.manual_seed(2)
    arguments: dict[str, Any] = {
        "vocabulary": [f"w{number}" for number in range(9)],
        "labels": ["a", "b", "c"],
        "tokenizer": "spaces_lower",
        "unknown": "refuse",
        "length": None,
        "store": tmp_path,
    }
    if outputs is None:
        with pytest.raises(ArgumentsMissing) as missing:
            unroll.save(Ends(function), name="mine", **arguments)
        assert missing.value.arguments == ("outputs",)
        return
    kept = unroll.save(Ends(function), name="mine", quiet=True, **arguments)
    assert open_version(kept.folder).manifest.architecture.outputs == outputs  # type: ignore[union-attr]
