"""Encoder-decoders over numbers that no repository wrote: recognised by their structure, they forecast over HTTP as the
module does, as many rows as are asked for."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from torch import Tensor, nn

from app.tasks.sources.raw_series import JsonSeries
from tests.conftest import serving_store
from tests.importers.importing import answered, asked, imported, saved

Rows = list[list[float]]


class Seq2Seq(nn.Module):
    """The usual student's: an encoder, and a decoder with a linear layer that reads the row it made before."""

    def __init__(
        self,
        cell: str = "LSTM",
        *,
        features: int = 1,
        targets: int = 1,
        layers: int = 1,
        zeros: bool = False,
        cells: bool = False,
        inner: bool = False,
        names: tuple[str, str, str] = ("lstm", "lstm", "linear"),
    ) -> None:
        super().__init__()
        kind = getattr(nn, cell)
        self.encoder, self.decoder = nn.Module(), nn.Module()
        self.encoder.add_module(names[0], kind(features, 6, layers))
        self.decoder.add_module(names[1], getattr(nn, f"{cell}Cell")(targets, 6) if cells else kind(targets, 6, layers))
        head: nn.Module = nn.Linear(6, targets)
        if inner:
            head = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, targets))
        self.decoder.add_module(names[2], head)
        self._names, self._zeros, self._cells, self._targets = names, zeros, cells, targets

    def forward(self, rows: Rows, count: int) -> Rows:
        """The rows that follow. The targets are the first columns."""
        source = torch.tensor(rows)
        _, state = getattr(self.encoder, self._names[0])(source)
        step, head = getattr(self.decoder, self._names[1]), getattr(self.decoder, self._names[2])
        row = torch.zeros(self._targets) if self._zeros else source[-1, : self._targets]
        made = []
        if self._cells:
            state = tuple(part[0] for part in state) if isinstance(state, tuple) else state[0]
        for _ in range(count):
            if self._cells:
                state = step(row, state)
                row = head(state[0] if isinstance(state, tuple) else state)
            else:
                output, state = step(row.unsqueeze(0), state)
                row = head(output[0])
            made.append(row.tolist())
        return made


class Autoencoder(nn.Module):
    """The decoder reads the encoder's last state in each step."""

    def __init__(self, *, continues: bool, hidden: int = 6) -> None:
        super().__init__()
        self.encoder_rnn = nn.GRU(2, 6)
        self.decoder_rnn = nn.GRU(6, hidden)
        self.output_layer = nn.Linear(hidden, 2)
        self._continues = continues

    def forward(self, rows: Rows, count: int) -> Rows:
        _, last = self.encoder_rnn(torch.tensor(rows))
        outputs, _ = self.decoder_rnn(last[-1].repeat(count, 1), last if self._continues else None)
        made: Rows = self.output_layer(outputs).tolist()
        return made


Network = Seq2Seq | Autoencoder
TWO = ("--features=a,b", "--targets=a,b")
FORMS: dict[str, tuple[Callable[[], Network], tuple[str, ...]]] = {
    "usual": (lambda: Seq2Seq(layers=2), ()),
    "one-of-three": (lambda: Seq2Seq("GRU", features=3), ("--features=a,b,c", "--targets=a")),
    "two-of-two": (lambda: Seq2Seq(features=2, targets=2, names=("rnn", "gru", "fc_out")), TWO),
    "from-zeros": (lambda: Seq2Seq("RNN", zeros=True), ("--set=first_input=zeros",)),
    "cells": (lambda: Seq2Seq(cells=True), ()),
    "two-layers-after": (lambda: Seq2Seq(inner=True), ("--set=activation=tanh",)),
    "autoencoder": (lambda: Autoencoder(continues=False, hidden=4), (*TWO, "--set=horizon=5")),
    "continued": (lambda: Autoencoder(continues=True), (*TWO, "--set=horizon=5", "--set=first_state=encoder")),
}
USUAL = ("--usual", "--scaler=none")
WIDTHS = {"one-of-three": 3, "two-of-two": 2, "autoencoder": 2, "continued": 2}


def _series(width: int, seed: int) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    rows: Rows = torch.randn(5 + 3 * seed, width, generator=generator).mul(100).round().div(100).tolist()
    return rows


@pytest.fixture(scope="module")
def modules() -> dict[str, Network]:
    torch.manual_seed(4)
    made = {name: make() for name, (make, _) in FORMS.items()}
    for module in made.values():
        for parameter in module.parameters():
            parameter.data.mul_(2)
    return made


@pytest.fixture(scope="module")
def service(modules: dict[str, Network], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("imported")
    for name, module in modules.items():
        printed = imported(folder, saved(folder, module), *USUAL, *FORMS[name][1], name=name)
        assert "layout: series-encoder-decoder" in printed
    with (
        serving_store(folder / "store", tmp_path_factory.mktemp("engine")) as address,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        yield http


@pytest.mark.parametrize("name", FORMS)
@torch.no_grad()
def test_the_service_forecasts_as_the_module(service: httpx.Client, modules: dict[str, Network], name: str) -> None:
    """Series of several lengths in one request."""
    inputs = [_series(WIDTHS.get(name, 1), seed) for seed in range(4)]
    body: dict[str, Any] = {"model": name, "inputs": inputs}
    horizon = 5
    if isinstance(modules[name], Seq2Seq):
        horizon = 7
        body["horizon"] = horizon
    results = service.post("/v1/forecast", json=body).raise_for_status().json()["results"]
    for rows, result in zip(inputs, results, strict=True):
        wanted = modules[name](rows, horizon)
        assert [pytest.approx(row, abs=1e-5) for row in wanted] == result["values"]


def test_one_state_dict_for_each_side(tmp_path: Path, modules: dict[str, Network]) -> None:
    module = modules["usual"]
    assert isinstance(module, Seq2Seq)
    files = [saved(tmp_path, getattr(module, side), f"{side}.pth") for side in ("decoder", "encoder")]
    imported(tmp_path, *files, *USUAL, "--set=horizon=3")
    rows = _series(1, 2)
    (result,) = answered(tmp_path, [JsonSeries(rows)])
    with torch.no_grad():
        assert result["values"] == [pytest.approx(row, abs=1e-5) for row in module(rows, 3)]


def test_what_the_file_does_not_say_is_asked(tmp_path: Path, modules: dict[str, Network]) -> None:
    printed = asked(tmp_path, saved(tmp_path, modules["one-of-three"]))
    for part in (
        "layout: series-encoder-decoder",
        "understood: decoder decoder.lstm: GRU-6, which reads its row before",
        "what the decoder reads first is not in the file (first_input)",
        "--set first_input=last",
        "--set horizon=",
        "--scaler",
        "--features",
        "--targets",
    ):
        assert part in printed, part
    assert "first_state" not in printed
    printed = asked(tmp_path, saved(tmp_path, modules["continued"]))
    assert "--set first_state=zeros" in printed
    assert "first_input" not in printed


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--features=a,b,c", "--targets=d", "--scaler=none"), "which has no column d: name the targets among the"),
        (
            ("--features=a,b,c", "--targets=a", "--scaler=features=min-max:0,1", "--scaler=targets=min-max:0,9"),
            "has another scaling than the target",
        ),
    ],
)
def test_the_first_input_has_the_targets(
    tmp_path: Path, modules: dict[str, Network], arguments: Sequence[str], why: str
) -> None:
    given = (saved(tmp_path, modules["one-of-three"]), "--usual", *arguments)
    assert why in asked(tmp_path, *given)
    imported(tmp_path, *given, "--set=first_input=zeros")


def test_a_scaler_scales_what_is_fed_back(tmp_path: Path, modules: dict[str, Network]) -> None:
    module = modules["usual"]
    imported(tmp_path, saved(tmp_path, module), "--usual", "--scaler=standard:20,4", "--set=horizon=3")
    rows = [[20.0], [26.0], [17.0], [22.0]]
    with torch.no_grad():
        scaled = module([[(row[0] - 20) / 4] for row in rows], 3)
    (result,) = answered(tmp_path, [JsonSeries(rows)])
    assert result["values"] == [pytest.approx([row[0] * 4 + 20], abs=1e-4) for row in scaled]


def test_settings_of_the_training_are_usual(tmp_path: Path, modules: dict[str, Network]) -> None:
    file = {"state_dict": modules["usual"].state_dict(), "hyper_parameters": {"seq_len": 12, "pred_len": 4}}
    printed = asked(tmp_path, saved(tmp_path, file))
    assert "--set window=12" in printed
    assert "--set horizon=4" in printed


class Bridged(nn.Module):
    """A layer between both sides has no place."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.bridge = nn.LSTM(1, 6), nn.Linear(6, 6)
        self.decoder, self.fc = nn.LSTM(1, 6), nn.Linear(6, 1)

    def forward(self, rows: Tensor) -> Tensor:
        return rows


def test_other_parts_are_named(tmp_path: Path) -> None:
    printed = asked(tmp_path, saved(tmp_path, Bridged()))
    assert "layout series-encoder-decoder takes" in printed
    assert "beside these there are bridge, fc" in printed
