"""Weights of textgenrnn, without settings: its network in numpy, and its rules of a text."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from app.importers.keras.language_models import window_language_model
from app.importers.keras.textgenrnn import is_textgenrnn, textgenrnn_settings
from app.importers.keras.understood import understand
from app.importers.keras_model import KerasModel
from app.importers.layout import Converted
from app.importers.network import network_of
from app.models.window_language_model import WindowLanguageModel
from app.store.manifest import Manifest
from app.text.tokenizer import TextTokenizer
from tests.importers.importing import answered, imported, run_import
from tests.importers.keras_files import by_layer
from tests.importers.keras_numpy import Array, unroll

LETTERS = "abcdefg"
UNITS, SIZE, WINDOW = 3, 4, 6
_LSTM = {"units": UNITS, "activation": "tanh", "recurrent_activation": "sigmoid"}


def _arrays(rows: int, *, layers: int, ways: int) -> dict[str, list[Array]]:
    draw = np.random.default_rng(layers + ways)
    groups: dict[str, list[Array]] = {"embedding": [draw.normal(size=(rows, SIZE))]}
    width = total = SIZE
    for number in range(layers):
        shapes = [(width, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)] * ways
        groups[f"rnn_{number + 1}"] = [draw.normal(size=shape) for shape in shapes]
        width = UNITS * ways
        total += width
    groups["attention"] = [draw.normal(size=(total, 1))]
    groups["output"] = [draw.normal(size=(total, rows)), draw.normal(size=rows)]
    return groups


def _logits(groups: dict[str, list[Array]], ids: Array) -> Array:
    x = groups["embedding"][0][ids]
    beside = [x]
    for name in (name for name in groups if name.startswith("rnn_")):
        arrays = groups[name]
        ways = [unroll("LSTM", _LSTM, arrays[:3], x, None, 2)[0]]
        if arrays[3:]:
            back, _ = unroll("LSTM", _LSTM, arrays[3:], x[:, ::-1], None, 2)
            ways.append(back[:, ::-1])
        x = np.concatenate(ways, -1)
        beside.append(x)
    steps = np.concatenate(beside, -1)
    weights = np.exp(steps @ groups["attention"][0])
    pooled = (steps * weights / weights.sum(1, keepdims=True)).sum(1)
    logits: Array = pooled @ groups["output"][0] + groups["output"][1]
    return logits


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("ways", [1, 2])
@torch.no_grad()
def test_the_network(layers: int, ways: int) -> None:
    groups = _arrays(9, layers=layers, ways=ways)
    weights = {name: [torch.from_numpy(array).float() for array in arrays] for name, arrays in groups.items()}
    model = KerasModel("2.2.4", None, {**weights, "context_output": [torch.zeros(3, 9)]})
    assert is_textgenrnn(model)
    understood = understand(KerasModel("2.2.4", textgenrnn_settings(model), weights))
    network = network_of(Converted(*window_language_model(understood, window=WINDOW, pad=0)))
    assert isinstance(network, WindowLanguageModel)
    ids = np.random.default_rng(1).integers(0, 9, (4, WINDOW))
    found = network(torch.from_numpy(ids), torch.full((4,), WINDOW))
    np.testing.assert_allclose(found.numpy(), _logits(groups, ids), rtol=1e-4, atol=1e-4)


def _files(folder: Path, vocabulary: list[str], **config: object) -> list[str]:
    """Arguments for the files that textgenrnn saves."""
    groups = _arrays(len(vocabulary) + 1, layers=2, ways=1)
    named = {
        name: [(f"{name}/{number}:0", array) for number, array in enumerate(arrays)] for name, arrays in groups.items()
    }
    by_layer(folder / "my_weights.hdf5", named)
    (folder / "my_vocab.json").write_text(json.dumps({word: 1 + number for number, word in enumerate(vocabulary)}))
    settings = {"rnn_layers": 2, "max_length": WINDOW, "word_level": False, "single_text": False, **config}
    (folder / "my_config.json").write_text(json.dumps(settings))
    files = {"weights.hdf5": "--checkpoint", "config.json": "--checkpoint", "vocab.json": "--vocab"}
    return [f"{option}={folder / f'my_{name}'}" for name, option in files.items()]


def _version(folder: Path) -> tuple[Manifest, TextTokenizer]:
    version = folder / "store" / "mine" / "1"
    manifest = Manifest.model_validate_json((version / "manifest.json").read_bytes())
    assert manifest.tokenizer is not None
    return manifest, TextTokenizer(version, manifest.tokenizer)


def test_a_text_begins_and_ends_with_a_mark(tmp_path: Path) -> None:
    printed = imported(tmp_path, *_files(tmp_path, [*LETTERS, "<s>"]))
    assert "layout: textgenrnn" in printed
    assert "check these" not in printed
    manifest, tokenizer = _version(tmp_path)
    assert manifest.architecture.describe().endswith(f"language model over the last {WINDOW} tokens")
    assert manifest.decoding is not None
    assert (manifest.decoding.bos, manifest.decoding.eos, manifest.decoding.forbidden) == (8, 8, (0,))
    assert tokenizer.encode_prefix("ab?") == [8, 1, 2, 0]
    assert tokenizer.encode_prefix("") == [8]
    first, other = answered(tmp_path, ["ab", ""])
    assert first["text"] != other["text"]


def test_one_long_text_begins_with_padding(tmp_path: Path) -> None:
    imported(tmp_path, *_files(tmp_path, list(LETTERS), single_text=True))
    manifest, tokenizer = _version(tmp_path)
    assert manifest.decoding is not None
    assert (manifest.decoding.bos, manifest.decoding.end) == (0, -1)
    assert tokenizer.encode_prefix("ab") == [0, 1, 2]


def test_words_and_punctuation(tmp_path: Path) -> None:
    imported(tmp_path, *_files(tmp_path, ["the", "cat", "sat", ".", "'", "<s>"], word_level=True))
    _, tokenizer = _version(tmp_path)
    assert tokenizer.encode_prefix("The cat's\nmat.") == [6, 1, 2, 5, 0, 0, 4]


def test_a_vocabulary_of_another_model_is_refused(tmp_path: Path) -> None:
    arguments = _files(tmp_path, [*LETTERS, "<s>"])
    (tmp_path / "my_vocab.json").write_text(json.dumps({"a": 1, "b": 2, "<s>": 3}))
    ran = run_import(tmp_path, *arguments)
    assert ran.exit_code == 1
    assert "ids up to 3, and the network up to 8" in ran.output


def test_a_vocabulary_without_the_mark_is_refused(tmp_path: Path) -> None:
    ran = run_import(tmp_path, *_files(tmp_path, list(LETTERS)))
    assert ran.exit_code == 1
    assert "the vocabulary has no <s>: add --set start=padding" in ran.output
