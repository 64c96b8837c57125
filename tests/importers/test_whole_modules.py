"""A pickled module says what its tensors do not: functions, and settings of its parts."""

import string
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from app.importers.reading import read
from app.importers.whole_modules import answers_in, functions_in
from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, asked, imported, saved


class Whole(nn.Module):
    """A convolution with a stride, nn.RNN with relu, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, stride=2, padding=1)
        self.rnn = nn.RNN(4, 5, nonlinearity="relu")
        self.head = nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1))


class LetterByLetter(nn.Module):
    """practical-pytorch's network with a function in the state, as a stranger changed it."""

    def __init__(self) -> None:
        super().__init__()
        self.i2h = nn.Linear(57 + 8, 8)
        self.i2o = nn.Linear(57 + 8, 2)
        self.softmax = nn.LogSoftmax(dim=-1)
        self.tanh = nn.Tanh()


def test_the_parts_of_a_module_answer_for_it(tmp_path: Path) -> None:
    torch.save(Whole(), tmp_path / "whole.pt")
    stub = read(tmp_path / "whole.pt")
    assert functions_in(stub) == ["tanh"]
    assert answers_in(stub) == {
        "nonlinearity": "relu",
        "conv_stride": "2",
        "conv_dilation": "1",
        "conv_padding": "1",
    }
    printed = imported(tmp_path, f"--checkpoint={tmp_path / 'whole.pt'}", "--usual")
    for value in ("--set activation=tanh", "nonlinearity: relu", "conv_stride: 2", "conv_padding: 1"):
        assert value in printed, value
    assert "stride and dilation" not in printed


def test_a_function_in_the_state_is_not_left_out(tmp_path: Path) -> None:
    letters = tmp_path / "letters.txt"
    letters.write_text("\n".join([*string.ascii_letters, *" .,;'"]))
    torch.save(LetterByLetter(), tmp_path / "whole.pt")
    given = (f"--vocab={letters}", "--labels=it,en", "--usual")
    told = asked(tmp_path, f"--checkpoint={tmp_path / 'whole.pt'}", *given)
    assert "the function tanh beside i2h and i2o" in told
    told = imported(tmp_path, saved(tmp_path, LetterByLetter()), *given)
    assert "whether the state has a function, such as tanh, is not in the tensors" in told.partition("check these")[2]


class Leaky(nn.Module):
    """A slope of its own, pools behind a convolution, and a function on the output."""

    def __init__(self, outputs: int, end: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(2, 4, 3, padding=1)
        self.pool = nn.MaxPool1d(2)
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.head = nn.Sequential(nn.Linear(6, 5), nn.LeakyReLU(0.3), nn.Linear(5, outputs), end)

    def forward(self, rows: Tensor) -> Tensor:
        steps = self.pool(nn.functional.leaky_relu(self.conv1(rows.T.unsqueeze(0)), 0.3)).transpose(1, 2)
        answer: Tensor = self.head(self.lstm(steps)[0][0, -1])
        return answer


@pytest.mark.parametrize("end", [nn.Sigmoid(), nn.Tanh(), nn.Identity()])
def test_slope_pool_and_end_of_a_forecaster_are_those_of_the_module(end: nn.Module, tmp_path: Path) -> None:
    torch.manual_seed(5)
    module, rows = Leaky(2, end), torch.randn(8, 2)
    torch.save(module, tmp_path / "whole.pt")
    printed = imported(tmp_path, f"--checkpoint={tmp_path / 'whole.pt'}", "--usual")
    assert "conv_pool: 2" in printed
    assert "slope: 0.3" in printed
    assert "is taken to be leaky_relu, the only one of the file's modules" in printed
    (result,) = answered(tmp_path, [JsonSeries(rows.tolist())])
    assert result["values"][0] == pytest.approx(module(rows).tolist(), abs=1e-5)


@pytest.mark.parametrize("whole", [True, False])
def test_slope_and_sigmoid_of_a_classifier(whole: bool, tmp_path: Path) -> None:
    torch.manual_seed(6)
    module, rows = Leaky(3, nn.Sigmoid()), torch.randn(8, 2)
    torch.save(module if whole else module.state_dict(), tmp_path / "it.pt")
    said = ("activation=leaky_relu", "conv_activation=leaky_relu", "slope=0.3", "conv_pool=2", "outputs=sigmoid")
    settings = [] if whole else [f"--set={one}" for one in (*said, "conv_padding=1")]
    given = (f"--checkpoint={tmp_path / 'it.pt'}", "--layout=series-classifier", "--labels=a,b,c", "--usual")
    imported(tmp_path, *given, *settings)
    (result,) = answered(tmp_path, [JsonSeries(rows.tolist())])
    assert list(result["scores"].values()) == pytest.approx(module(rows).tolist(), abs=1e-5)


class ByAttributes(nn.Module):
    """Functions that are no part of a sequence: nothing says where they are called, but one that is defined last."""

    def __init__(self, *, ends: bool) -> None:
        super().__init__()
        self.rnn = nn.RNN(2, 6, nonlinearity="relu")
        self.fc1, self.fc2 = nn.Linear(6, 5), nn.Linear(5, 1)
        if ends:
            self.act = nn.LeakyReLU(0.2)
        self.sigmoid = nn.Sigmoid()


def test_a_sigmoid_between_layers_is_not_taken_for_that_of_the_output(tmp_path: Path) -> None:
    for ends, function in ((True, "output_activation: sigmoid"), (False, "output_activation=none")):
        torch.save(ByAttributes(ends=ends), tmp_path / "it.pt")
        printed = imported(tmp_path, f"--checkpoint={tmp_path / 'it.pt'}", "--usual", name=f"it-{ends}".lower())
        assert function in printed
        assert "recurrence rnn: RNN (relu)-6" in printed


def test_a_slope_that_no_function_has_is_not_told(tmp_path: Path) -> None:
    printed = imported(tmp_path, saved(tmp_path, Whole()), "--usual")
    assert "slope=" not in printed
