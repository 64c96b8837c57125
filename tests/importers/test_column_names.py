"""Lists in a file beside a network over numbers: names of columns, labels or letters, each by what it is called."""

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.importers.importing import answered, asked, imported, saved
from tests.importers.originals import WORDS

THREE = ["open", "high", "low"]
LETTERS = string.ascii_letters + " .,;'"


class Series(nn.Module):
    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, 6)
        self.fc = nn.Linear(6, outputs)


def _beside(folder: Path, more: Mapping[str, Any], *, features: int = 3, outputs: int = 1) -> str:
    return saved(folder, {"state_dict": Series(features, outputs).state_dict(), **more})


@pytest.mark.parametrize(
    "more",
    [
        {"features": THREE},
        {"feature_names": tuple(THREE)},
        {"columns": THREE},
        {"hyper_parameters": {"feature_cols": THREE, "input_size": 3}},
        {"config": {"data": {"input_features": THREE}}},
        {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "features": THREE},
    ],
)
def test_names_of_columns_are_no_vocabulary(more: Mapping[str, Any], tmp_path: Path) -> None:
    printed = imported(tmp_path, _beside(tmp_path, more), "--usual")
    assert "layout: series-forecaster" in printed
    assert "over 3 features" in printed
    assert "printf '%s\\n' open,high,low" in printed
    assert "vocabulary" not in printed


def test_names_of_columns_may_be_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "features.json").write_text(json.dumps(THREE))
    told = asked(tmp_path, saved(tmp_path, Series(3, 1)), f"--checkpoint={tmp_path / 'features.json'}")
    assert "--features open,high,low" in told
    assert "These are those of features.json" in told


def test_the_columns_of_the_forecast_have_their_names(tmp_path: Path) -> None:
    told = asked(tmp_path, _beside(tmp_path, {"cols": ["x", "y", "z"], "targets": ["y", "w"]}, outputs=4))
    assert "layout: series-forecaster" in told
    assert "--features x,y,z" in told
    assert "--targets y,w" in told
    told = asked(tmp_path, _beside(tmp_path, {"features": THREE, "target": "low"}))
    assert "--targets low" in told


def test_names_that_are_too_many_are_left(tmp_path: Path) -> None:
    told = asked(tmp_path, _beside(tmp_path, {"features": [*THREE, "close"], "targets": ["a", "b"]}))
    assert "--features x1,x2,x3" in told
    assert "--targets x1" in told


@pytest.mark.parametrize("name", ["inputs", "axes", "keys"])
def test_a_list_of_another_name_is_no_vocabulary_either(name: str, tmp_path: Path) -> None:
    for words in (["load", "temp"], ["x", "y"]):
        printed = imported(tmp_path, _beside(tmp_path, {name: words}, features=2), "--usual", name=words[0])
        assert "layout: series-forecaster" in printed


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("all_letters", LETTERS),
        ("stuff", list(LETTERS)),
        ("char2idx", {letter: number for number, letter in enumerate(LETTERS)}),
    ],
)
def test_one_hot_letters_in_the_file_make_a_text_classifier(name: str, letters: Any, tmp_path: Path) -> None:
    torch.manual_seed(4)
    module = Series(len(LETTERS), 3)
    file = {"state_dict": module.state_dict(), name: letters, "all_categories": ["cz", "kr", "uk"]}
    printed = imported(tmp_path, saved(tmp_path, file), "--usual")
    assert "layout: text-classifier" in printed
    assert f"one-hot rows: 57 numbers a step, as many as model.pt: {name} has" in printed
    (result,) = answered(tmp_path, ["O'Neil"])
    rows = nn.functional.one_hot(torch.tensor([LETTERS.index(letter) for letter in "O'Neil"]), len(LETTERS)).float()
    with torch.no_grad():
        wanted = module.fc(module.lstm(rows)[0][-1]).softmax(0).tolist()
    assert list(result["scores"]) == ["cz", "kr", "uk"]
    assert list(result["scores"].values()) == pytest.approx(wanted, abs=1e-5)


def test_one_hot_words_of_a_named_vocabulary_are_read(tmp_path: Path) -> None:
    told = asked(tmp_path, _beside(tmp_path, {"vocab": WORDS}, features=len(WORDS), outputs=3))
    assert "layout: text-classifier" in told


@pytest.mark.parametrize("numbers", [[0.0, 0.0, 0.0], torch.zeros(3)], ids=["list", "tensor"])
def test_labels_beside_the_numbers_of_a_scaler_are_kept(numbers: Any, tmp_path: Path) -> None:
    more = {"classes": ["up", "down"], "mean": numbers, "std": [1.0, 2.0, 3.0], "note": "mine"}
    printed = imported(tmp_path, _beside(tmp_path, more, outputs=2), "--usual")
    assert "layout: series-classifier" in printed
    assert "labels: up, down of model.pt: classes" in printed
    assert "scaler of the features: standard scaling of 3 columns" in printed


def test_target_names_may_be_labels_or_columns(tmp_path: Path) -> None:
    file = _beside(tmp_path, {"target_names": ["a", "b"]}, outputs=2)
    printed = imported(tmp_path, file, "--usual")
    doubt = "whether model.pt: target_names are labels, or columns that the network forecasts"
    assert "layout: series-classifier" in printed
    assert doubt in printed.partition("check these")[2]
    told = asked(tmp_path, file, "--layout=series-forecaster")
    assert "--targets a,b" in told
    assert doubt not in told
    printed = imported(tmp_path, _beside(tmp_path, {"classes": ["a", "b"]}, outputs=2), "--usual", name="sure")
    assert "columns that the network forecasts" not in printed
