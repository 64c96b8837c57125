"""Networks over one-hot letters answer as the modules of the tutorials do."""

import json
import string
import unicodedata
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.importers.importing import answered, asked, imported, saved

LETTERS = string.ascii_letters + " .,;'"


class Of2017(nn.Module):
    """spro/practical-pytorch: letter and state side by side, and the answer beside the state."""

    def __init__(self, letters: int, hidden: int, labels: int) -> None:
        super().__init__()
        self.i2h = nn.Linear(letters + hidden, hidden)
        self.i2o = nn.Linear(letters + hidden, labels)
        self.hidden = hidden

    def forward(self, rows: Tensor) -> Tensor:
        output = state = torch.zeros(1, self.hidden)
        for row in rows:
            both = torch.cat((row.unsqueeze(0), state), 1)
            state, output = self.i2h(both), self.i2o(both)
        return output[0]


class Of2022(Of2017):
    """The answer from the state."""

    def __init__(self, letters: int, hidden: int, labels: int) -> None:
        nn.Module.__init__(self)
        self.i2h = nn.Linear(letters + hidden, hidden)
        self.h2o = nn.Linear(hidden, labels)
        self.hidden = hidden

    def forward(self, rows: Tensor) -> Tensor:
        state = torch.zeros(1, self.hidden)
        for row in rows:
            state = self.i2h(torch.cat((row.unsqueeze(0), state), 1))
        return self.h2o(state)[0]  # type: ignore[no-any-return]


class Of2023(nn.Module):
    def __init__(self, letters: int, hidden: int, labels: int) -> None:
        super().__init__()
        self.i2h, self.h2h = nn.Linear(letters, hidden), nn.Linear(hidden, hidden)
        self.h2o = nn.Linear(hidden, labels)
        self.hidden = hidden

    def forward(self, rows: Tensor) -> Tensor:
        state = torch.zeros(1, self.hidden)
        for row in rows:
            state = torch.tanh(self.i2h(row.unsqueeze(0)) + self.h2h(state))
        return self.h2o(state)[0]  # type: ignore[no-any-return]


class Of2024(nn.Module):
    def __init__(self, letters: int, hidden: int, labels: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(letters, hidden)
        self.h2o = nn.Linear(hidden, labels)

    def forward(self, rows: Tensor) -> Tensor:
        _, hidden = self.rnn(rows.unsqueeze(1))
        return self.h2o(hidden[0])[0]  # type: ignore[no-any-return]


def _rows(text: str, letters: str) -> Tensor:
    """`unicodeToAscii` and `lineToTensor`."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    numbers = [letters.find(c) if c in letters else letters.find("_") for c in plain]
    return torch.eye(len(letters))[[number for number in numbers if number >= 0]]


NAMES = ["Satoshi", "O'Néàl", "Jackson", "Dovesky", "Ślusàrski", "a"]


@pytest.mark.parametrize(
    ("module", "letters"),
    [(Of2017, LETTERS), (Of2022, LETTERS), (Of2023, LETTERS), (Of2024, LETTERS + "_")],
    ids=["2017", "2022", "2023", "2024"],
)
def test_names(tmp_path: Path, module: type[nn.Module], letters: str) -> None:
    torch.manual_seed(1)
    network = module(len(letters), 16, 3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
        wanted = [network(_rows(name, letters)).softmax(0).tolist() for name in NAMES]
    printed = imported(tmp_path, saved(tmp_path, network), "--usual", "--labels=Irish,Polish,Japanese")
    assert "layout: names-classification" in printed
    for numbers, result in zip(wanted, answered(tmp_path, NAMES), strict=True):
        assert list(result["scores"].values()) == pytest.approx(numbers, abs=1e-5)


class OneHot(nn.Module):
    """A network of one's own over one-hot characters."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 7, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(14, 2)

    def forward(self, rows: Tensor) -> Tensor:
        _, hidden = self.gru(rows.unsqueeze(0))
        return self.fc(torch.cat((hidden[-2], hidden[-1]), 1))[0]  # type: ignore[no-any-return]


def test_one_hot_characters_of_ones_own(tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = OneHot()
    letters = "abcdef"
    vocabulary = tmp_path / "letters.json"
    vocabulary.write_text(json.dumps(list(letters)), encoding="utf8")
    options = ("--usual", "--labels=x,y", f"--vocab={vocabulary}")
    assert "layout: text-classifier" in imported(tmp_path, saved(tmp_path, module), *options)
    texts = ["a", "badcafe", "ff"]
    with torch.no_grad():
        wanted = [module(_rows(text, letters)).softmax(0).tolist() for text in texts]
    for numbers, result in zip(wanted, answered(tmp_path, texts), strict=True):
        assert list(result["scores"].values()) == pytest.approx(numbers, abs=1e-5)


def test_without_a_vocabulary_it_is_a_series(tmp_path: Path) -> None:
    assert "layout: series-forecaster" in asked(tmp_path, saved(tmp_path, OneHot()))
