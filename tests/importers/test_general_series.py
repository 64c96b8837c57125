"""Networks over series that no repository wrote: recognised by their structure, they answer as the module does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, asked, imported, saved


class Mine(nn.Module):
    """Recurrences one after the other, and a head over what `pool` makes of their outputs."""

    def __init__(
        self,
        *recurrences: nn.RNNBase,
        head: nn.Module,
        pool: Callable[[Tensor, Tensor], Tensor] = lambda outputs, last: last,
        before: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.before = before or nn.Identity()
        for number, recurrence in enumerate(recurrences):
            self.add_module(f"layer_{number}", recurrence)
        self.head = head
        self._recurrences, self._pool = recurrences, pool

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, features) to (outputs,)."""
        outputs = self.before(rows).unsqueeze(0)
        for recurrence in self._recurrences:
            outputs, state = recurrence(outputs)
        last = state[0] if isinstance(state, tuple) else state
        directions = 2 if self._recurrences[-1].bidirectional else 1
        pooled = self._pool(outputs[0], torch.cat(list(last[-directions:, 0])))
        answer: Tensor = self.head(pooled.unsqueeze(0))[0]
        return answer


class Convolved(nn.Module):
    """Two convolutions with batch normalisation and relu, all of one width; with `norms_last` pooled, too."""

    def __init__(self, *, norms_last: bool = False) -> None:
        super().__init__()
        parts = {
            "conv1": nn.Conv1d(3, 4, 3, padding=1),
            "bn1": nn.BatchNorm1d(4),
            "conv2": nn.Conv1d(4, 4, 3, padding=1),
            "bn2": nn.BatchNorm1d(4),
        }
        for name in ("conv1", "conv2", "bn1", "bn2") if norms_last else parts:
            self.add_module(name, parts[name])
        self.pool = 2 if norms_last else 1

    def forward(self, rows: Tensor) -> Tensor:
        features = rows.T.unsqueeze(0)
        for number in "12":
            features = torch.relu(self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(features)))
            features = nn.functional.max_pool1d(features, self.pool)
        return features[0].T


def _rows(steps: int = 9, features: int = 3, seed: int = 0) -> list[list[float]]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(steps, features, generator=generator).mul(2).round(decimals=3).tolist()


def _same(folder: Path, module: Mine, **source: int) -> None:
    """The imported version answers as the module, for a few series."""
    inputs = [_rows(seed=seed, **source) for seed in range(3)]
    module.eval()
    with torch.no_grad():
        wanted = [module(torch.tensor(rows)).tolist() for rows in inputs]
    results = answered(folder, [JsonSeries(rows) for rows in inputs])
    for numbers, result in zip(wanted, results, strict=True):
        flat = [number for row in result["values"] for number in row]
        assert flat == pytest.approx(numbers, abs=1e-5)


USUAL = ("--usual", "--features=a,b,c", "--targets=a", "--scaler=none")
FORECASTERS: dict[str, tuple[Callable[[], Mine], tuple[str, ...]]] = {
    "the usual one": (lambda: Mine(nn.LSTM(3, 5, batch_first=True), head=nn.Linear(5, 1)), ()),
    "two recurrences of different sizes": (
        lambda: Mine(nn.LSTM(3, 6, batch_first=True), nn.GRU(6, 4, batch_first=True), head=nn.Linear(4, 2)),
        (),
    ),
    "a head of two layers": (
        lambda: Mine(
            nn.GRU(3, 5, num_layers=2, batch_first=True),
            head=nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)),
        ),
        ("--set=activation=tanh",),
    ),
    "a head with batch normalisation": (
        lambda: Mine(
            nn.GRU(3, 5, batch_first=True),
            head=nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)),
        ),
        (),
    ),
    "relu in nn.RNN": (
        lambda: Mine(nn.RNN(3, 5, nonlinearity="relu", batch_first=True), head=nn.Linear(5, 1)),
        ("--set=nonlinearity=relu",),
    ),
    "the mean of both directions": (
        lambda: Mine(
            nn.LSTM(3, 5, batch_first=True, bidirectional=True),
            head=nn.Linear(10, 1),
            pool=lambda outputs, last: outputs.mean(0),
        ),
        ("--set=pooling=mean",),
    ),
    "the output of the last step of both directions": (
        lambda: Mine(
            nn.LSTM(3, 5, batch_first=True, bidirectional=True),
            head=nn.Linear(10, 1),
            pool=lambda outputs, last: outputs[-1],
        ),
        ("--set=pooling=last_output",),
    ),
    "the backward half first": (
        lambda: Mine(
            nn.GRU(3, 5, batch_first=True, bidirectional=True),
            head=nn.Linear(10, 1),
            pool=lambda outputs, last: torch.cat((last[5:], last[:5])),
        ),
        ("--set=pooling=last_backward_first",),
    ),
    "the sum of both directions": (
        lambda: Mine(
            nn.GRU(3, 5, batch_first=True, bidirectional=True),
            head=nn.Linear(5, 1),
            pool=lambda outputs, last: last[5:] + last[:5],
        ),
        ("--set=pooling=last_sum",),
    ),
    "the backward direction alone": (
        lambda: Mine(
            nn.GRU(3, 5, batch_first=True, bidirectional=True),
            head=nn.Linear(5, 1),
            pool=lambda outputs, last: last[5:],
        ),
        ("--set=pooling=last_backward",),
    ),
    "maximum and mean side by side": (
        lambda: Mine(
            nn.LSTM(3, 5, batch_first=True),
            head=nn.Linear(10, 1),
            pool=lambda outputs, last: torch.cat((outputs.amax(0), outputs.mean(0))),
        ),
        ("--set=pooling=max+mean",),
    ),
    "all steps side by side": (
        lambda: Mine(
            nn.LSTM(3, 5, batch_first=True),
            head=nn.Linear(45, 1),
            pool=lambda outputs, last: outputs.flatten(),
        ),
        ("--set=window=9",),
    ),
    "convolutions with norms before the recurrence": (
        lambda: Mine(nn.LSTM(4, 5, batch_first=True), head=nn.Linear(5, 1), before=Convolved()),
        (),
    ),
    "convolutions that are defined before their norms": (
        lambda: Mine(nn.LSTM(4, 5, batch_first=True), head=nn.Linear(5, 1), before=Convolved(norms_last=True)),
        ("--set=conv_pool=2",),
    ),
    "a layer with a norm before the recurrence": (
        lambda: Mine(
            nn.LSTM(4, 5, batch_first=True),
            head=nn.Linear(5, 1),
            before=nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU()),
        ),
        (),
    ),
    "a layer before the recurrence": (
        lambda: Mine(
            nn.LSTM(4, 5, batch_first=True),
            head=nn.Linear(5, 1),
            before=nn.Sequential(nn.Linear(3, 4), nn.ReLU()),
        ),
        (),
    ),
}


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_forecaster_answers_as_the_module(tmp_path: Path, name: str) -> None:
    torch.manual_seed(1)
    make, options = FORECASTERS[name]
    module = make()
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    imported(tmp_path, saved(tmp_path, module), *USUAL, *options)
    _same(tmp_path, module)


def test_prefixes_of_wrappers_fall_away(tmp_path: Path) -> None:
    """Those of Lightning, DataParallel and torch.compile, and what Lightning keeps beside the network."""
    torch.manual_seed(1)
    module = Mine(nn.LSTM(3, 5, batch_first=True), head=nn.Linear(5, 1))
    state = {f"model._orig_mod.module.{key}": tensor for key, tensor in module.state_dict().items()}
    file = {"state_dict": {**state, "criterion.weight": torch.ones(2)}, "hyper_parameters": {"window": 9, "hidden": 5}}
    printed = imported(tmp_path, saved(tmp_path, file), *USUAL)
    assert "window=9" in printed  # from the hyper-parameters
    _same(tmp_path, module)


def test_one_round_asks_for_everything(tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = Mine(nn.LSTM(3, 5, batch_first=True, bidirectional=True), head=nn.Linear(10, 2))
    printed = asked(tmp_path, saved(tmp_path, module))
    for part in (
        "layout: series-forecaster",
        "understood: recurrence layer_0: bidirectional LSTM-5, 3 numbers a step",
        "understood: head head: 10 -> 2",
        "which of the two directions the head reads first is not in the file",
        "--set window=",
        "--set pooling=",
        "--scaler",
        "--features",
        "--targets",
        "the whole command",
    ):
        assert part in printed, part
    assert not tmp_path.joinpath("store").exists()
