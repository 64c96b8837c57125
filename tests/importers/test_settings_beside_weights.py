"""Numbers beside the weights are labels or scalers only where the file says so; otherwise they are offered."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tests.importers.importing import asked, imported, saved
from tests.importers.test_not_silent import VOCABULARY, _words


def _text(labels: int) -> dict[str, Any]:
    parts = {"emb": nn.Embedding(len(VOCABULARY), 5), "lstm": nn.LSTM(5, 4), "fc": nn.Linear(4, labels)}
    return dict(nn.ModuleDict(parts).state_dict())


def _series() -> dict[str, Any]:
    return dict(nn.ModuleDict({"lstm": nn.LSTM(1, 4), "fc": nn.Linear(4, 1)}).state_dict())


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"layers": 1}, 2),
        ({"n_layers": 2, "bidirectional": 1}, 3),
        ({"epoch": 1, "fold": 0}, 2),
        ({"a": "9" * 5000}, 2),
    ],
)
def test_settings_are_no_labels(tmp_path: Path, settings: dict[str, Any], labels: int) -> None:
    content = {"model": _text(labels), "settings": settings}
    printed = asked(tmp_path, saved(tmp_path, content), _words(tmp_path))
    assert "--labels" in printed
    assert "layers" not in printed.partition("--labels")[2]


def test_words_under_another_name_are_offered_as_labels(tmp_path: Path) -> None:
    content = {"model": _text(3), "moods": ["sad", "calm", "glad"]}
    printed = asked(tmp_path, saved(tmp_path, content), _words(tmp_path))
    assert "--labels sad,calm,glad" in printed


def test_limits_of_something_else_are_no_scaler(tmp_path: Path) -> None:
    content = {"model": _series(), "lr_range": {"min": 1e-4, "max": 1e-2}, "dropout": {"min": 0, "max": 1}}
    printed = asked(tmp_path, saved(tmp_path, content))
    assert "min-max:0.0001,0.01,0,1 of model.pt: lr_range" in printed
    assert "usual: --scaler none" in imported(tmp_path, saved(tmp_path, content), "--usual")


@pytest.mark.parametrize("name", ["scaler", "norm_stats"])
def test_a_scaler_by_name_is_found(tmp_path: Path, name: str) -> None:
    printed = imported(tmp_path, saved(tmp_path, {"model": _series(), name: {"min": 2.0, "max": 9.0}}), "--usual")
    assert "scaler of the features: min-max scaling" in printed


def test_numbers_beside_the_weights_are_offered(tmp_path: Path) -> None:
    printed = imported(tmp_path, saved(tmp_path, {"model": _series(), "min": 2.0, "max": 9.0}), "--usual")
    assert "--scaler min-max:2,9,0,1" in printed


def test_a_scaler_in_words_is_that_of_the_features(tmp_path: Path) -> None:
    """One column in words is that of every column, as the question for it says; not that of one target."""
    given = (
        saved(tmp_path, nn.ModuleDict({"lstm": nn.LSTM(3, 4), "fc": nn.Linear(4, 1)})),
        "--usual",
        "--features=a,b,c",
    )
    for text in ("none", "min-max:0,20"):
        printed = imported(tmp_path, *given, f"--scaler={text}", name=text.partition(":")[0])
        assert "--scaler" not in printed.replace("check", ""), printed


def test_a_scaler_of_fewer_columns_than_features_is_doubted(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"mean": [2.0], "std": [3.0]}))
    state = nn.ModuleDict({"lstm": nn.LSTM(3, 4), "fc": nn.Linear(4, 1)})
    given = (saved(tmp_path, state), "--usual", "--features=a,b,c", "--targets=a")
    printed = imported(tmp_path, *given, f"--scaler={tmp_path / 'one.json'}")
    doubt = "it has 1 column, and the network reads 3"
    assert doubt in printed.partition("check these")[2]
    assert "usual: --scaler features=none" in printed
    printed = imported(
        tmp_path, *given, f"--scaler=targets={tmp_path / 'one.json'}", "--scaler=features=none", name="other"
    )
    assert doubt not in printed
