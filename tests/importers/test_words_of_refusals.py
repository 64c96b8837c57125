"""Refusals of imports say in words what is allowed, and the way out."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.importers.importing import asked, saved
from tests.importers.test_not_silent import VOCABULARY, _words


def _classifier() -> nn.Module:
    torch.manual_seed(2)
    parts = {"embedding": nn.Embedding(len(VOCABULARY), 4), "gru": nn.GRU(4, 3), "answer": nn.Linear(3, 3)}
    return nn.ModuleDict(parts)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--set=colour=red", "layout text-classifier has no option colour"),
        ("--set=tokenizer=words", "(layout text-classifier; --layout chooses another)"),
        ("--name=A b", "the name 'A b' cannot be that of a model: a name has at most 64 of a-z"),
        ("--languages=xx,yy,zz", "a language has two or three small letters"),
        ("--languages=English", "a language has two or three small letters"),
        ("--task=A b", "there is no task A b; the tasks are"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_words(tmp_path: Path, option: str, told: str) -> None:
    told_all = asked(tmp_path, saved(tmp_path, _classifier()), _words(tmp_path), "--labels=a,b,c", "--usual", option)
    assert told in told_all
    assert "pattern" not in told_all


@pytest.mark.parametrize("scaler", ["standard:0,0", "min-max:5,5"])
def test_a_scale_of_zero_is_refused(tmp_path: Path, scaler: str) -> None:
    parts = nn.ModuleDict({"lstm": nn.LSTM(1, 4), "fc": nn.Linear(4, 1)})
    assert "nothing can be divided" in asked(tmp_path, saved(tmp_path, parts), "--usual", f"--scaler={scaler}")
