"""A Tokenizer of Keras beside the weights of PyTorch: its num_words, filters and lower case hold."""

import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from tests.importers.importing import answered, asked, imported, saved
from tests.importers.originals import WORDS

_MODULE = "keras.src.legacy.preprocessing.text"
_MOST = 7
_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_TEXTS = [f"{WORDS[0].upper()}, {WORDS[1]}!  {WORDS[9]}-{WORDS[2]}", f"{WORDS[3]} ({WORDS[0]}) unheard"]


class Classifier(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, 5)
        self.lstm = nn.LSTM(5, 4)
        self.answer = nn.Linear(4, 3)

    def scores(self, ids: list[int]) -> list[float]:
        with torch.no_grad():
            outputs, _ = self.lstm(self.embedding(torch.tensor(ids)))
            scores: list[float] = self.answer(outputs[-1]).softmax(0).tolist()
        return scores


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A pickle of Keras' class, with 7 of 10 words in use and a mark for unknown ones."""
    kind: Any = type("Tokenizer", (), {"__module__": _MODULE})
    module: Any = ModuleType(_MODULE)
    module.Tokenizer = kind
    names = [".".join(_MODULE.split(".")[:depth]) for depth in range(1, 6)]
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(dict.fromkeys(names, module))
    made = kind()
    made.word_index = {"<OOV>": 1, **{word: number for number, word in enumerate(WORDS[:10], 2)}}
    made.index_word = {number: word for word, number in made.word_index.items()}
    made.__dict__ |= {"num_words": _MOST, "filters": _FILTERS, "lower": True, "split": " ", "char_level": False}
    made.__dict__ |= {"oov_token": "<OOV>", "document_count": 3, "word_counts": {}, "analyzer": None}
    (tmp_path / "tokenizer.pickle").write_bytes(pickle.dumps(made))
    for name, known in before.items():
        if known is None:
            del sys.modules[name]
        else:
            sys.modules[name] = known
    return tmp_path / "tokenizer.pickle"


def _ids(text: str) -> list[int]:
    """`texts_to_sequences` of the Tokenizer above."""
    for sign in _FILTERS:
        text = text.replace(sign, " ")
    places = [WORDS.index(word) + 2 if word in WORDS[:10] else 1 for word in text.lower().split()]
    return [place if place < _MOST else 1 for place in places]


@pytest.mark.parametrize("rows", [_MOST, 11, 20])
@pytest.mark.parametrize("flag", ["--vocab", "--checkpoint"])
def test_a_tokenizer_beside_weights_of_pytorch(tmp_path: Path, tokenizer: Path, flag: str, rows: int) -> None:
    torch.manual_seed(rows)
    module = Classifier(rows)
    told = imported(tmp_path, saved(tmp_path, module), f"{flag}={tokenizer}", "--labels=a,b,c", "--usual")
    assert "--set tokenizer=keras" in told
    for text, result in zip(_TEXTS, answered(tmp_path, _TEXTS), strict=True):
        assert list(result["scores"].values()) == pytest.approx(module.scores(_ids(text)), abs=1e-5)


def test_a_tokenizer_pads_at_the_left(tmp_path: Path, tokenizer: Path) -> None:
    module = Classifier(_MOST)
    arguments = [saved(tmp_path, module), f"--vocab={tokenizer}", "--labels=a,b,c", "--set=length=9", "--usual"]
    imported(tmp_path, *arguments)
    for text, result in zip(_TEXTS, answered(tmp_path, _TEXTS), strict=True):
        ids = ([0] * 9 + _ids(text))[-9:]
        assert list(result["scores"].values()) == pytest.approx(module.scores(ids), abs=1e-5)


def test_a_tokenizer_of_more_words_than_rows_is_refused(tmp_path: Path, tokenizer: Path) -> None:
    told = asked(tmp_path, saved(tmp_path, Classifier(5)), f"--vocab={tokenizer}", "--labels=a,b,c", "--usual")
    assert f"the source vocabulary has {_MOST} words, but the checkpoint's embedding has 5 rows" in told


def test_its_rules_are_taken_for_words_alone(tmp_path: Path) -> None:
    module = Classifier(11)
    index = {word: number for number, word in enumerate(WORDS[:10], 1)}
    (tmp_path / "word_index.json").write_text(json.dumps(index))
    vocabulary = f"--vocab={tmp_path / 'word_index.json'}"
    imported(tmp_path, saved(tmp_path, module), vocabulary, "--labels=a,b,c", "--set=tokenizer=keras", "--usual")
    (result,) = answered(tmp_path, [f"{WORDS[0].upper()}, ({WORDS[4]})!"])
    assert list(result["scores"].values()) == pytest.approx(module.scores([1, 5]), abs=1e-5)


def test_a_network_with_the_names_of_a_notebook_is_not_one_of_torchtext(tmp_path: Path, tokenizer: Path) -> None:
    parts = nn.ModuleDict({"embedding": nn.Embedding(_MOST, 5), "lstm": nn.LSTM(5, 4), "fc": nn.Linear(4, 3)})
    told = asked(tmp_path, saved(tmp_path, parts), f"--vocab={tokenizer}")
    assert "layout: text-classifier" in told
    assert "--set tokenizer=keras" in told
