"""darts' recurrent forecasters: imported from a checkpoint of Lightning, they answer as the module does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, asked, imported, saved


class Block(nn.Module):
    """`_BlockRNNModule`; `old`: as it was before the layers read each of the last outputs."""

    def __init__(self, name: str, inputs: int, targets: int, steps: int, sizes: list[int], *, old: bool) -> None:
        super().__init__()
        self.rnn = getattr(nn, name)(inputs, 7, 2, batch_first=True)
        self.steps, self.targets, self.old = steps, targets, old
        layers: list[nn.Module] = []
        last = 7
        for size in sizes:
            layers += [nn.Linear(last, size), *([] if old else [nn.ELU()])]
            last = size
        self.fc = nn.Sequential(*layers, nn.Linear(last, targets * (steps if old else 1)))

    def forward(self, rows: Tensor) -> Tensor:
        outputs, _ = self.rnn(rows)
        read = outputs[:, -1] if self.old else outputs[:, -self.steps :]
        return self.fc(read).view(len(rows), self.steps, self.targets)  # type: ignore[no-any-return]


class Fed(nn.Module):
    """`_RNNModule`, with the loop that predicts."""

    def __init__(self, targets: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(targets, 6, batch_first=True)
        self.V = nn.Linear(6, targets)

    def forward(self, rows: Tensor, steps: int) -> Tensor:
        outputs, state = self.rnn(rows)
        made = [self.V(outputs[:, -1:])]
        while len(made) < steps:
            outputs, state = self.rnn(made[-1], state)
            made.append(self.V(outputs))
        return torch.cat(made, 1)


def _checkpoint(module: nn.Module, **others: Any) -> dict[str, Any]:
    settings = {"input_chunk_length": 9, "target_size": 1, "nr_params": 1, "activation": "ELU", **others}
    return {"epoch": 3, "state_dict": module.state_dict(), "hyper_parameters": settings}


def _rows(features: int) -> Tensor:
    return torch.rand(9, features, generator=torch.Generator().manual_seed(1)).round(decimals=3)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(("name", "targets", "sizes"), [("LSTM", 1, []), ("GRU", 2, [5, 4]), ("RNN", 1, [5])])
def test_blocks(tmp_path: Path, name: str, targets: int, sizes: list[int], *, old: bool) -> None:
    torch.manual_seed(2)
    module = Block(name, 3, targets, 4, sizes, old=old)
    file = _checkpoint(module, target_size=targets, output_chunk_length=4)
    names = ",".join("abc"[:targets])
    arguments = ("--usual", "--features=a,b,c", f"--targets={names}", "--scaler=none")
    assert "layout: darts-block-rnn" in imported(tmp_path, saved(tmp_path, file, "x.ckpt"), *arguments)
    rows = _rows(3)
    with torch.no_grad():
        wanted = module(rows.unsqueeze(0))[0].tolist()
    (result,) = answered(tmp_path, [JsonSeries(rows.tolist())])
    for got, numbers in zip(result["values"], wanted, strict=True):
        assert got == pytest.approx(numbers, abs=1e-5)


def test_fed_with_its_forecasts(tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = Fed(2)
    file = _checkpoint(module, target_size=2, output_chunk_length=1)
    printed = imported(tmp_path, saved(tmp_path, file), "--usual", "--features=a,b", "--targets=a,b", "--scaler=none")
    assert "layout: darts-rnn" in printed
    rows = _rows(2)
    with torch.no_grad():
        wanted = module(rows.unsqueeze(0), 1)[0].tolist()
    (result,) = answered(tmp_path, [JsonSeries(rows.tolist())])
    assert result["values"][0] == pytest.approx(wanted[0], abs=1e-5)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"nr_params": 2}, "2 parameters of a distribution"),
        ({"use_reversible_instance_norm": True}, "normalises each window by itself"),
        ({"future_cov_dim": 1}, "future covariates"),
        ({"activation": "RReLU"}, "activation RReLU is not supported"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path: Path, others: dict[str, Any], said: str) -> None:
    module = Block("LSTM", 1, others.get("nr_params", 1), 4, [5], old=False)
    file = _checkpoint(module, output_chunk_length=4, **others)
    assert said in asked(tmp_path, saved(tmp_path, file), "--usual", "--scaler=none")
