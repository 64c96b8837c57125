"""Parts of networks over texts that a stranger named or placed in another way: they answer as the module does."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchcrf import CRF

from tests.importers.importing import answered, imported, saved
from tests.importers.originals import WORDS, sentences

VOCABULARY = ["<PAD>", "<UNK>", *WORDS]
LABELS = ("a", "b", "c")


def _ids(text: str) -> Tensor:
    return torch.tensor([VOCABULARY.index(word) for word in text.split()])


def _given(folder: Path, module: nn.Module) -> list[str]:
    (folder / "words.json").write_text(json.dumps(VOCABULARY))
    return [saved(folder, module), f"--vocab={folder / 'words.json'}", "--labels=a,b,c", "--set=tokenizer=spaces"]


class TwoNames(nn.Module):
    """Attention of Yang et al. 2016: a key and a vector that scores it, of which one is named for attention."""

    def __init__(self, key: str, score: str, size: int, *, first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), 6)
        self.gru = nn.GRU(6, 4, bidirectional=True)
        if not first:
            self.fc = nn.Linear(8, 3)
        self.add_module(key, nn.Linear(8, size))
        self.add_module(score, nn.Linear(size, 1, bias=False))
        if first:
            self.fc = nn.Linear(8, 3)
        self._names = key, score

    def forward(self, ids: Tensor) -> Tensor:
        outputs, _ = self.gru(self.embedding(ids))
        key, score = (self.get_submodule(name) for name in self._names)
        weights = score(torch.tanh(key(outputs))).softmax(0)
        answer: Tensor = self.fc((weights * outputs).sum(0)).softmax(0)
        return answer


@pytest.mark.parametrize(
    ("key", "score", "size"),
    [("attention", "context_vector", 8), ("attn", "u", 5), ("word_attention", "w", 5), ("hidden", "attn_score", 5)],
)
@pytest.mark.parametrize("first", [True, False], ids=["before the head", "behind the head"])
def test_attention_of_two_layers_of_which_one_is_named(
    key: str, score: str, size: int, first: bool, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    module, text = TwoNames(key, score, size, first=first), sentences(1, seed=3)[0]
    printed = imported(tmp_path, *_given(tmp_path, module), "--layout=text-classifier", "--usual")
    assert f"attention over the outputs: {key}, {score}" in printed
    (result,) = answered(tmp_path, [text])
    assert list(result["scores"].values()) == pytest.approx(module(_ids(text)).tolist(), abs=1e-5)


class Normed(nn.Module):
    """A tagger with layer normalisation of each output before the head."""

    def __init__(self, directions: int, *, crf: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), 6)
        self.lstm = nn.LSTM(6, 4, bidirectional=directions == 2)
        self.norm = nn.LayerNorm(4 * directions)
        self.fc = nn.Linear(4 * directions, 3)
        if crf:
            self.crf = CRF(3)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def tags(self, text: str) -> list[str]:
        scores = self.fc(self.norm(self.lstm(self.embedding(_ids(text)))[0]))
        best = self.crf.decode(scores.unsqueeze(1))[0] if hasattr(self, "crf") else scores.argmax(1).tolist()
        return [LABELS[tag] for tag in best]


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("crf", [True, False], ids=["crf", "no crf"])
def test_a_tagger_with_layer_normalisation(directions: int, crf: bool, tmp_path: Path) -> None:
    torch.manual_seed(2)
    module, texts = Normed(directions, crf=crf), sentences(4, seed=5)
    printed = imported(tmp_path, *_given(tmp_path, module), "--layout=tagger", "--usual")
    assert "layer normalisation" in printed
    results = answered(tmp_path, texts)
    assert [[tag["label"] for tag in result["tags"]] for result in results] == [module.tags(text) for text in texts]
