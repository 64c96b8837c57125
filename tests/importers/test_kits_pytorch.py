"""PyTorch checkpoints that the original frameworks wrote, taken by their structure: they answer like the recorded
modules, alone and in a batch."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.tasks.sources.frames import Clip
from app.tasks.sources.raw_series import JsonSeries
from tests.importers.importing import answered, imported

KITS = Path(os.environ.get("UNROLL_KITS", Path(__file__).parents[2].parent / "shared" / "kits"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not KITS.is_dir(), reason=f"NOT COMPARED with recorded answers: no kits in {KITS}, see UNROLL_KITS"
    ),
]


def _import(folder: Path, kit: str, files: Sequence[str], *options: str) -> str:
    checkpoints = [f"--checkpoint={KITS / kit / file}" for file in files]
    return imported(folder, *checkpoints, "--usual", *(option.replace("KIT", str(KITS / kit)) for option in options))


def _cases(kit: str, file: str) -> list[dict[str, Any]]:
    content = json.loads((KITS / kit / file).read_text(encoding="utf8"))
    return [case for case in content["cases"] if not case.get("error")]


def _both_ways(folder: Path, inputs: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip([answered(folder, [one])[0] for one in inputs[:3]], answered(folder, inputs), strict=False)) + [
        (result, result) for result in answered(folder, inputs)[3:]
    ]


SERIES = "pytorch_timeseries"


@pytest.mark.parametrize(
    ("model", "files", "options"),
    [
        ("lstm_airline", ["lstm_airline.pth", "scaler.joblib"], ["--set=window=6"]),
        (
            "gru_weather",
            ["gru_weather.pt"],
            ["--set=window=24", "--scaler=features=KIT/feature_scaler.pkl", "--scaler=targets=KIT/target_scaler.pkl"],
        ),
    ],
)
def test_forecasts(tmp_path: Path, model: str, files: list[str], options: list[str]) -> None:
    _import(tmp_path, SERIES, files, *options)
    window = int(options[0].rpartition("=")[2])
    cases = [
        case
        for case in _cases(SERIES, f"expected_{model}.json")
        if len(case["input"]) == window and None not in (case.get("output") or [None])
    ]
    assert len(cases) > 8
    for case, results in zip(cases, _both_ways(tmp_path, [JsonSeries(case["input"]) for case in cases]), strict=True):
        for result in results:
            assert result["values"][0] == pytest.approx(case["output"], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("model", "files", "options"),
    [
        ("bilstm_tagger", ["bilstm_tagger.pth"], ["--set=tokenizer=spaces_lower"]),
        ("lstm_tagger", ["lstm_tagger.pt", "tag_to_ix.json"], ["--vocab=KIT/word_to_ix.json"]),
    ],
)
def test_tags(tmp_path: Path, model: str, files: list[str], options: list[str]) -> None:
    _import(tmp_path, "pytorch_tagger", files, *options)
    cases = [case for case in _cases("pytorch_tagger", f"expected_{model}.json") if case.get("tags")]
    assert len(cases) > 8
    for case, results in zip(cases, _both_ways(tmp_path, [case["text"] for case in cases]), strict=True):
        for result in results:
            assert [word["label"] for word in result["tags"]] == case["tags"]


FRAMES = "pytorch_cnn_lstm_frames"


@pytest.mark.parametrize(
    ("model", "files", "size"),
    [
        ("cnnlstm", ["cnnlstm-Epoch-6.pth", "actions.json"], 56),
        ("resnetcrnn", ["rnn_decoder_epoch6.pth", "cnn_encoder_epoch6.pth", "actions.pkl"], 64),
    ],
)
def test_clips(tmp_path: Path, model: str, files: list[str], size: int) -> None:
    _import(tmp_path, FRAMES, files, f"--set=image_size={size}")
    cases = _cases(FRAMES, f"expected_{model}.json")
    clips = [Clip([(KITS / FRAMES / frame).read_bytes() for frame in case["frames"]]) for case in cases]
    for case, results in zip(cases, _both_ways(tmp_path, clips), strict=True):
        for result in results:
            assert list(result["scores"].values()) == pytest.approx(case["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("model", "file", "options"),
    [
        ("rnn_20_epoch", "rnn_20_epoch.net", ["--set=max_tokens=40"]),
        ("spro_gru", "shakespeare.pt", ["--vocab=printable", "--set=tokenizer=characters", "--set=max_tokens=40"]),
    ],
)
def test_characters(tmp_path: Path, model: str, file: str, options: list[str]) -> None:
    _import(tmp_path, "pytorch_char_rnn", [file], *options)
    cases = [
        case
        for case in _cases("pytorch_char_rnn", f"expected_{model}.json")
        if case.get("output") and case["text"] == case["text"].rstrip()
    ]
    assert len(cases) > 5
    for case, results in zip(cases, _both_ways(tmp_path, [case["text"] for case in cases]), strict=True):
        for result in results:
            assert result["text"] == case["output"][:40].rstrip() or result["text"] == case["output"][:40]


def test_words(tmp_path: Path) -> None:
    kit = "pytorch_word_language_model"
    options = [
        "--vocab=KIT/lstm_idx2word.json",
        "--set=start=none",
        "--set=end=none",
        "--set=tokenizer=spaces",
        "--set=max_tokens=10",
    ]
    _import(tmp_path, kit, ["model.pt"], *options)
    cases = [case for case in _cases(kit, "expected_lstm.json") if case.get("greedy_words")]
    for case, results in zip(cases, _both_ways(tmp_path, [case["text"] for case in cases]), strict=True):
        for result in results:
            assert result["text"].split() == case["greedy_words"]
