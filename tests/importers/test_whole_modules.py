"""A pickled module says what its tensors do not: functions, and settings of its parts."""

import string
from pathlib import Path

import torch
from torch import nn

from app.importers.reading import read
from app.importers.whole_modules import answers_in, functions_in
from tests.importers.importing import asked, imported, saved


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
