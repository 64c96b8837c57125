"""Refusals of imports say in words what is allowed, and the way out."""

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from tests.importers.importing import answered, asked, imported, run_import, saved
from tests.importers.test_not_silent import VOCABULARY, _words


def classifier() -> nn.Module:
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
    told_all = asked(tmp_path, saved(tmp_path, classifier()), _words(tmp_path), "--labels=a,b,c", "--usual", option)
    assert told in told_all
    assert "pattern" not in told_all


@pytest.mark.parametrize("scaler", ["standard:0,0", "min-max:5,5"])
def test_a_scale_of_zero_is_refused(tmp_path: Path, scaler: str) -> None:
    parts = nn.ModuleDict({"lstm": nn.LSTM(1, 4), "fc": nn.Linear(4, 1)})
    assert "nothing can be divided" in asked(tmp_path, saved(tmp_path, parts), "--usual", f"--scaler={scaler}")


def test_a_vocabulary_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    tmp_path.joinpath("others.json").write_text('["a", "b", "c"]')
    told = asked(tmp_path, saved(tmp_path, classifier()), f"--checkpoint={tmp_path / 'others.json'}", "--labels=a,b,c")
    assert "contains no source vocabulary" not in told
    assert "no list of words in the files has the size of the source embedding" in told
    assert f"the embedding has {len(VOCABULARY)} rows" in told
    assert "others.json (3 words)" in told


def test_a_label_encoder_is_taken_as_labels(tmp_path: Path) -> None:
    kind: Any = type("LabelEncoder", (), {"__module__": "sklearn.preprocessing._label"})
    module: Any = ModuleType(kind.__module__)
    module.LabelEncoder = kind
    encoder = kind()
    encoder.classes_ = numpy.array(["glad", "mad", "sad"])
    with pytest.MonkeyPatch.context() as patch:
        for depth in range(1, 4):
            patch.setitem(sys.modules, ".".join(kind.__module__.split(".")[:depth]), module)
        tmp_path.joinpath("encoder.pkl").write_bytes(pickle.dumps(encoder))
    file = tmp_path / "encoder.pkl"
    imported(tmp_path, saved(tmp_path, classifier()), _words(tmp_path), f"--labels={file}", "--usual")
    (result,) = answered(tmp_path, [VOCABULARY[3]])
    assert list(result["scores"]) == ["glad", "mad", "sad"]


class Started(nn.Module):
    """An LSTM whose first state is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.h0, self.c0 = (nn.Parameter(torch.zeros(1, 1, 4)) for _ in range(2))
        self.lstm, self.fc = nn.LSTM(1, 4), nn.Linear(4, 1)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (Started(), "It reads numbers"),
        (nn.ModuleDict({"lstm": nn.LSTM(1, 16, proj_size=5), "fc": nn.Linear(5, 1)}), "It reads numbers"),
        (nn.ModuleDict({"rnn": nn.GRU(2, 6), "fc": nn.Linear(8, 2)}), "It reads numbers"),
        (
            nn.ModuleDict(
                {
                    "cnn": nn.Conv2d(3, 8, 3),
                    "join": nn.Linear(8, 10),
                    "embed": nn.Embedding(19, 10),
                    "lstm": nn.LSTM(10, 12),
                    "linear": nn.Linear(12, 19),
                }
            ),
            "convolutions over images of its own (cnn)",
        ),
    ],
)
def test_no_mapping_is_offered_where_none_can_have_the_network(tmp_path: Path, module: nn.Module, told: str) -> None:
    printed = asked(tmp_path, saved(tmp_path, module))
    assert told in printed
    assert "generic-classifier" not in printed


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)),
        nn.TransformerEncoderLayer(8, 2, 16),
        nn.ModuleDict({"embedding": nn.EmbeddingBag(60, 8), "fc": nn.Linear(8, 2)}),
    ],
)
def test_what_has_no_name_of_a_recurrence_is_told_so_with_all_its_keys(tmp_path: Path, module: nn.Module) -> None:
    """A cell written by hand has names of its own."""
    printed = asked(tmp_path, saved(tmp_path, module))
    assert "Nothing recurs here by its names" in printed
    assert all(f'"{key}"' in printed for key in module.state_dict())


def test_prompts_check_each_answer_and_ask_again(tmp_path: Path) -> None:
    typed = "\n".join(["last", "", "", "", "abc", "7", "", "", "a,b", "a,b,c", ""])
    ran = run_import(tmp_path, saved(tmp_path, classifier()), _words(tmp_path), "--interactive", typed=typed)
    assert ran.exit_code == 0, ran.output
    assert "--set length=abc: the value must be" in ran.output
    assert "the network has 3 labels, not 2" in ran.output
    assert "length: 7" in ran.output
