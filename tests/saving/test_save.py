"""`unroll.save`: live modules become versions that answer as they do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unroll
from app.cli.in_process import answers
from app.errors import ImportFailed
from app.saving.missing import ArgumentsMissing
from app.store.classifier import Classifier
from app.store.forecaster import Forecaster
from app.store.language_model import LanguageModel
from app.store.model_store import open_version
from app.store.tagger import Tagger

WORDS = ["<pad>", "<unk>", "film", "great", "bad", "plot", "actor", "scene", "very", "fine", "a", "the", "was", "is"]
LABELS = ["bad", "so-so", "good"]
LETTERS = "abcdefg "


class Sentiment(nn.Module):
    """What its tensors do not show: the pooling, the order of directions, the function, batch first, a state."""

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.pool = pool
        self.embedding = nn.Embedding(len(WORDS), 6)
        self.lstm = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(10, 7), nn.Linear(7, 3)

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        outputs, (hidden, _) = self.lstm(self.dropout(self.embedding(ids)))
        pooled = {
            "last": torch.cat([hidden[-2], hidden[-1]], 1),
            "last_backward_first": torch.cat([hidden[-1], hidden[-2]], 1),
            "last_output": outputs[:, -1],
            "mean": outputs.mean(1),
            "max": outputs.amax(1),
        }[self.pool]
        return torch.log_softmax(self.fc2(torch.tanh(self.fc1(pooled))), 1), hidden


def _save(module: Any, folder: Path, **arguments: Any) -> unroll.Saved:
    return unroll.save(module, name="mine", store=folder / "store", quiet=True, **arguments)


def _text_arguments() -> dict[str, Any]:
    return {"vocabulary": WORDS, "labels": LABELS, "tokenizer": "spaces_lower", "unknown": "found", "length": None} | {
        "outputs": "softmax"
    }


@pytest.mark.parametrize("pool", ["last", "last_backward_first", "last_output", "mean", "max"])
def test_a_module_shows_how_it_reads_its_outputs(tmp_path: Path, pool: str) -> None:
    torch.manual_seed(3)
    module = Sentiment(pool).train()
    random = torch.get_rng_state()
    saved = _save(module, tmp_path, **_text_arguments())
    assert torch.equal(torch.get_rng_state(), random)
    assert module.training
    assert module.dropout.training
    assert saved.difference is not None
    assert saved.difference < 1e-5
    assert f"pooling: {pool}, as the module answers" in saved.found
    assert "activation: tanh, as the module answers" in saved.found
    architecture = open_version(saved.folder).manifest.architecture
    assert isinstance(architecture, Classifier)


def test_a_module_may_have_the_names_of_a_repository_and_a_forward_of_its_own(tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(len(WORDS), 6)
            self.lstm = nn.LSTM(6, 5, bidirectional=True, batch_first=True)
            self.fc = nn.Linear(10, 3)

        def forward(self, ids: Tensor) -> Tensor:
            outputs: Tensor = self.fc(self.lstm(self.embedding(ids))[0].mean(1))
            return outputs

    torch.manual_seed(3)
    for options in ({}, {"length": 9, "padding": "right"}):
        saved = _save(Named(), tmp_path, vocabulary=WORDS, labels=LABELS, usual=True, **options)
        assert saved.difference is not None
        assert saved.difference < 1e-5
        assert "pooling: mean, as the module answers" in saved.found


def test_the_version_answers_as_the_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    module = Sentiment("mean").eval()
    vocabulary = {word: token for token, word in enumerate(WORDS)}
    saved = unroll.save(module, name="mine", store=str(tmp_path), **{**_text_arguments(), "vocabulary": vocabulary})
    printed = capsys.readouterr().out
    assert "answers as the module does: they differ by" in printed
    assert f"unroll serve --store {tmp_path}" in printed
    ((result,),) = answers([saved.folder], ["the film was great"])
    ids = torch.tensor([[WORDS.index(word) for word in ("the", "film", "was", "great")]])
    with torch.no_grad():
        wanted = module(ids, torch.tensor([4]))[0].exp()[0].tolist()
    assert result["scores"] == pytest.approx(dict(zip(LABELS, wanted, strict=True)), abs=1e-5)


def test_all_that_is_missing_is_named_as_keyword_arguments(tmp_path: Path) -> None:
    with pytest.raises(ArgumentsMissing) as missing:
        _save(Sentiment("last"), tmp_path)
    texts = ("tokenizer", "unknown", "length", "padding", "truncating")
    assert missing.value.arguments == (*texts, "vocabulary", "labels")
    assert "save(module, name='mine', tokenizer=" in missing.value.detail
    assert "--" not in missing.value.detail.partition("what is known")[0]
    assert not (tmp_path / "store").exists()


def test_a_module_that_does_more_than_its_tensors_show_is_refused(tmp_path: Path) -> None:
    class Doubled(Sentiment):
        def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
            scores, hidden = super().forward(ids, lengths)
            return scores * 2 + 1, hidden

    options = {**_text_arguments(), "usual": True}
    with pytest.raises(ImportFailed, match=r"would not answer as the module does: answers differ by"):
        _save(Doubled("last"), tmp_path, **options)
    assert not (tmp_path / "store").exists()
    saved = _save(Doubled("last"), tmp_path, **options, compare=False)
    assert saved.difference is None
    assert "not compared" in str(saved)


class Forecast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(2, 5, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(5, 3)

    def forward(self, rows: Tensor) -> Tensor:
        values: Tensor = self.fc(self.rnn(rows)[0][:, -1])
        return values


class MinMaxScaler:
    """As sklearn's, which is no dependency: its attributes are read, and no code of it runs."""

    def __init__(self) -> None:
        self.feature_range = (0, 1)
        self.scale_, self.min_ = torch.tensor([0.5, 0.1]).numpy(), torch.tensor([0.0, 0.0]).numpy()
        self.data_min_, self.data_max_ = torch.tensor([0.0, 0.0]).numpy(), torch.tensor([2.0, 10.0]).numpy()


def test_a_forecaster_with_its_scaler(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = Forecast()
    saved = _save(module, tmp_path, scaler=MinMaxScaler(), features=["rain", "warmth"], targets=["rain"], window=6)
    assert saved.difference is not None
    assert saved.difference < 1e-5
    assert "nonlinearity: relu, of the module's parts" in saved.found
    manifest = open_version(saved.folder).manifest
    assert isinstance(manifest.architecture, Forecaster)
    assert manifest.architecture.horizon == 3
    assert manifest.series is not None
    assert [feature.affine for feature in manifest.series.features] == [(0, 2), (0, 10)]


def test_an_example_says_how_the_module_is_called(tmp_path: Path) -> None:
    class Strange(Forecast):
        def forward(self, rows: Tensor, *, really: bool = False) -> Tensor:
            if rows.shape[1] != 4:
                raise ValueError("four steps only")
            return super().forward(rows)

    torch.manual_seed(3)
    arguments: dict[str, Any] = {"scaler": "none", "features": ["a", "b"], "targets": ["a"], "window": None}
    saved = _save(
        Strange(), tmp_path, **arguments, pooling="last", output_activation="none", example=torch.randn(1, 4, 2)
    )
    assert saved.difference is not None
    assert saved.difference < 1e-5


class Tags(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(len(WORDS), 6)
        self.lstm = nn.LSTM(6, 5)
        self.hidden2tag = nn.Linear(5, 3)

    def forward(self, sentence: Tensor) -> Tensor:
        outputs, _ = self.lstm(self.word_embeddings(sentence))
        return torch.log_softmax(self.hidden2tag(outputs), 2)


class Letters(nn.Module):
    """A character model: one-hot rows, the state comes in and goes out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(len(LETTERS), 9, batch_first=True)
        self.fc = nn.Linear(9, len(LETTERS))

    def init_hidden(self, batch: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(1, batch, 9), torch.zeros(1, batch, 9)

    def forward(self, rows: Tensor, hidden: tuple[Tensor, Tensor]) -> tuple[Tensor, Any]:
        outputs, hidden = self.lstm(rows, hidden)
        return self.fc(outputs.reshape(-1, 9)), hidden


def test_taggers_and_language_models(tmp_path: Path) -> None:
    torch.manual_seed(3)
    saved = _save(Tags(), tmp_path, vocabulary=WORDS, labels=["O", "B-X", "I-X"], layout="tagger", usual=True)
    assert saved.difference is not None
    assert saved.difference < 1e-5
    assert isinstance(open_version(saved.folder).manifest.architecture, Tagger)
    saved = _save(Letters(), tmp_path, vocabulary=LETTERS, usual=True, tokenizer="characters")
    assert saved.folder.name == "2"
    assert saved.difference is not None
    assert saved.difference < 1e-5
    assert isinstance(open_version(saved.folder).manifest.architecture, LanguageModel)


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match=r"an nn.Module or a model of Keras, not dict"):
        _save({"weights": torch.ones(2)}, tmp_path)
    with pytest.raises(ImportFailed, match="no words"):
        _save(Sentiment("last"), tmp_path, vocabulary=object())
    with pytest.raises(ImportFailed, match="no option poling"):
        _save(Sentiment("last"), tmp_path, poling="mean")


def test_a_model_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="NOT COMPARED: Keras is not installed")
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((9, 2)),
            layers.LSTM(5, activation="relu", return_sequences=True),
            layers.Bidirectional(layers.GRU(4)),
            layers.Dense(3, activation="softmax"),
        ]
    )
    saved = _save(model, tmp_path, labels=LABELS, scaler="none", features=["a", "b"], usual=True)
    assert saved.difference is not None
    assert saved.difference < 1e-5
