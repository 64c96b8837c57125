"""Checkpoints by strangers answer over HTTP like the code they came with (docs/strangers.md).

UNROLL_STRANGERS names a folder that is no part of the project, as the terms of the files vary: `packages/NAME` are
unpacked packages, `repos/OWNER+NAME` are working trees, and `answers/NAME.json` are inputs with the answers of the
original code: `inputs`, `answers`, and what a user would have beside them.
"""

import json
import math
import os
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from tests.service.serving import serving

FOLDER = Path(os.environ.get("UNROLL_STRANGERS", "-"))
pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason="UNROLL_STRANGERS does not name the folder of strangers' files"),
    pytest.mark.slow,
    pytest.mark.timeout(900),  # all imports are in one fixture
]
PROBABILITY, VALUE = 1e-5, 1e-4


class Stranger(NamedTuple):
    """`files` is what a user has; `answers` is what the files do not say, and a user knows. @ is the folder."""

    kind: str
    files: Sequence[str]
    answers: Sequence[str] = ()

    @property
    def is_unaided(self) -> bool:
        return not self.answers


def _set(**values: str) -> list[str]:
    return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


STRANGERS: dict[str, Stranger] = {
    "gold_prediction": Stranger("forecast", ["repos/Abinash1501+Gold-prediction-Project/lstm_model.h5", "scaler.pkl"]),
    "oil_price": Stranger("forecast", ["repos/Maheshdindalakoppa+Oil-Price-Prediction/lstm_model.keras", "scaler.pkl"]),
    "stock_prediction": Stranger(
        "forecast", ["repos/24-0+stockmarketprediction_ml/models/lstm_model.h5", "../data/scaler.pkl"]
    ),
    "load_balancing": Stranger(
        "forecast",
        [
            "repos/AashikAkilan+Machine-learning-based-framework-for-dynamic-load-balancing-in-cloud-Computing/"
            "lstm_model.keras",
            "scaler.save",
        ],
        ["--targets", "cpu"],
    ),
    "weather_lstm": Stranger(
        "forecast",
        ["repos/Nandhanaa-Mathesvaran+weather-lstm/lstm_model.h5"],
        [
            *("--scaler", "features=@/repos/Nandhanaa-Mathesvaran+weather-lstm/scaler_X.joblib"),
            *("--scaler", "targets=@/repos/Nandhanaa-Mathesvaran+weather-lstm/scaler_y.joblib"),
            *("--targets", "T (degC)", "--usual"),
        ],
    ),
    "electricity": Stranger(
        "forecast",
        [
            "repos/Kiruthiga12+Multi-Step-Electricity-Demand-Forecasting-Using-LSTM-and-Transformer-Networks/"
            "lstm_model.keras"
        ],
        ["--scaler", "none", "--targets", "x1", "--usual"],
    ),
    "lstm_practice": Stranger(
        "forecast",
        ["repos/KomeiDiSanXian+LSTMPractice/lstm_model.keras"],
        ["--scaler", "none", "--targets", "total,growth", "--usual"],
    ),
    "tesla_stock": Stranger(
        "forecast",
        ["repos/Manjula1989+Tesla-Stock-Price-Prediction/lstm_model.keras"],
        ["--scaler", "none", "--usual"],
    ),
    "maintenance": Stranger(
        "label",
        ["repos/Heba-Rajab+fastapi2/lstm_model.keras"],
        ["--labels", "works,fails", "--scaler", "none"],
    ),
    "fin_sentiment": Stranger(
        "label",
        ["packages/fin_sentiment/fin_sentiment/models/sentiment_lstm.pth"],
        [
            *_set(pooling="last", outputs="softmax", tokenizer="spaces", unknown="1", length="none"),
            *_set(cleaning="@cleaning"),
        ],
    ),
    "kinopoisk": Stranger(
        "label",
        ["repos/DmitryDorzhievich+Kinopoisk/weights.pt", "vocab_to_int.json"],
        [
            *_set(activation="tanh", nonlinearity="tanh", tokenizer="spaces", unknown="skip", length="100"),
            *_set(
                padding="left",
                truncating="right",
                outputs="sigmoid",
                cleaning="@cleaning",
                stop_words="@/russian_stopwords.txt",
            ),
            *("--labels", "negative,neutral,positive"),
        ],
    ),
    "rnn_backend": Stranger(
        "label",
        ["repos/YugShrivastava+RNN_Backend/sentiment_model.pth", "vocab.pkl"],
        [
            *_set(pooling="last", activation="relu", nonlinearity="tanh", tokenizer="nltk", unknown="found"),
            *_set(length="20", padding="right", truncating="right", outputs="softmax", cleaning="@cleaning"),
            *("--labels", "negative,positive"),
        ],
    ),
    "nlp_workshop": Stranger(
        "translation",
        [
            "repos/mlberkeley+NLP-workshop/machine_translation/encoder1.pt",
            "attn_decoder1.pt",
        ],
        [
            *("--vocab", "source=@/answers/nlpw_source.json", "--vocab", "target=@/answers/nlpw_target.json"),
            "--usual",
        ],
    ),
    "name_classifier": Stranger(
        "label",
        ["repos/GeniusAng+NLP_Name_Classifier/char-rnn-classification.pt"],
        [
            *("--vocab", "@/answers/name_classifier_letters.json"),
            *("--labels", "@/answers/name_classifier_labels.txt"),
        ],
    ),
    "name_classification_rnn": Stranger(
        "label",
        ["repos/XuanTung4501+name_classification_RNN/char-rnn-classification.pt"],
        [
            *("--vocab", "@/answers/name_classification_rnn_letters.json"),
            *("--labels", "@/answers/name_classification_rnn_labels.txt"),
        ],
    ),
    "language_identification": Stranger(
        "label",
        ["repos/mattia-venturini+text-language-identification/char-rnn-classification.pt"],
        ["--vocab", "@/answers/language_letters.json", "--labels", "first,second"],
    ),
    "g2pM": Stranger(
        "tags",
        ["packages/g2pM/g2pM/np_ckpt.pkl", "char2idx.pkl"],
        [
            *("--layout", "tagger", "--labels", "@/packages/g2pM/g2pM/class2idx.pkl"),
            *_set(activation="relu", tokenizer="characters", unknown="found", prepend="시", append="끝"),
        ],
    ),
    "g2p_fa": Stranger(
        "translation",
        ["packages/g2p_fa/g2p_fa/data/weights"],
        [
            *("--vocab", "source=@/answers/g2p_fa_source.json", "--vocab", "target=@/answers/g2p_fa_target.json"),
            *("--layout", "encoder-decoder"),
            *_set(tokenizer="characters", unknown="2", length="30", padding="right", truncating="right"),
            *_set(prepend="<sos>", append="<eos>", start="<sos>", stop="<eos>", max_tokens="29"),
        ],
    ),
    "imdb_review": Stranger(
        "label",
        ["repos/perceptionfoundry+imdb_Review_sentiment/simple_rnn_imdb.h5"],
        [
            *("--vocab", "@/answers/imdb_index.json", "--labels", "negative,positive"),
            *_set(rules="imdb", start="none", unknown="5", splitting="split", padding="pre", truncating="pre"),
        ],
    ),
    "next_word": Stranger(
        "next",
        ["repos/varadhanx+LSTM-RNN/next_word_lstm.h5"],
        [*("--vocab", "@/repos/varadhanx+LSTM-RNN/tokenizer.pickle"), *_set(rules="tokenizer", padding="pre")],
    ),
    "textgenrnn": Stranger(
        "continued", ["packages/textgenrnn/textgenrnn/textgenrnn_weights.hdf5", "textgenrnn_vocab.json"]
    ),
    "neuro_names": Stranger(
        "next",
        ["repos/SurAyush+NeuroNames/lstm_model.pth"],
        [
            "--vocab",
            "@/answers/neuro_names_letters.json",
            *_set(window="17", pad="none", start="~", end=".", pooling="last", activation="relu"),
            *_set(tokenizer="characters", unknown="refuse"),
        ],
    ),
    "comment_counts": Stranger(
        "forecast",
        ["repos/LoveAlwaysWin310+sentiment_analysis/lstm_model.pth"],
        [
            "--scaler",
            "@/answers/comment_counts_scaler.joblib",
            *_set(window="4", pooling="attention", attention_activation="tanh"),
        ],
    ),
    "rainfall": Stranger(
        "forecast",
        ["repos/StephanieHsu0+rainfall-predictor/models/lstm_model.pth"],
        [
            *_set(window="24", pooling="last"),
            "--scaler",
            "none",
            "--features",
            "pressure,temperature,humidity,wind,rain,rain_3h,rain_6h",
            "--targets",
            "rain",
        ],
    ),
    "next_word_pytorch": Stranger(
        "next",
        ["repos/Shirshadas24+LSTM_nextword_predict/lstm_model.pth", "vocab.pkl"],
        [
            *_set(window="61", pad="0", start="none", end="none", tokenizer="nltk", unknown="found"),
            *_set(cleaning="@cleaning"),
        ],
    ),
}
CLEANING: dict[str, list[Any]] = {
    "fin_sentiment": ["lower", {"pattern": r"[^a-zA-Z0-9\s]", "by": ""}],
    "kinopoisk": [
        "lower",
        {"pattern": r"<.*?>", "by": ""},
        {"pattern": "[" + "".join(f"\\{mark}" for mark in string.punctuation) + "]", "by": ""},
    ],
    "next_word_pytorch": ["lower"],
    "rnn_backend": [
        "lower",
        {"pattern": r"http\S+|www\S+|https\S+", "by": ""},
        {"pattern": r"@\w+|#\w+", "by": ""},
        {"pattern": r"[^a-z0-9\s]", "by": ""},
    ],
}
NOT_TAKEN = {
    "packages/silero_vad/silero_vad/data/silero_vad.jit": "TorchScript",
    "packages/flavorfetcher/flavorfetcher/data/100_2021-04-20 10_38_24.203316_3_epochs_re-run_model.h5": "Concatenate",
    "repos/ayush-cpu-art+Sentiment-Analysis/simple_rnn_imdb.h5": "no weights of any layer",
    "repos/Aadii0916+Next-word-predict/lstm_model.h5": "no weights of any layer",
    "repos/TrigyaT+nepali_text_sentiment_analysis/sentiment_model.pth": "no recurrent layer",
}  # what its refusal names


def _recorded(name: str) -> Any:
    return json.loads((FOLDER / "answers" / f"{name}.json").read_text(encoding="utf8"))


def _import(name: str, folder: Path, more: Sequence[str]) -> Result:
    stranger = STRANGERS[name]
    first = FOLDER / stranger.files[0]
    arguments = ["import", "--name", name.replace("_", "-").lower(), "--store", str(folder / "store")]
    arguments += ["--checkpoint", str(first)]
    for other in stranger.files[1:]:
        option = (
            "--scaler" if "scaler" in other else "--vocab" if "vocab" in other or "2idx" in other else "--checkpoint"
        )
        arguments += [option, str(first.parent / other)]
    (folder / name).write_text(json.dumps(CLEANING.get(name, [])), encoding="utf8")
    arguments += [part.replace("@cleaning", str(folder / name)).replace("@/", f"{FOLDER}/") for part in more]
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Result]]:
    """The store, and what the imports printed."""
    folder = tmp_path_factory.mktemp("strangers")
    return folder / "store", {name: _import(name, folder, stranger.answers) for name, stranger in STRANGERS.items()}


@pytest.fixture(scope="module")
def service(imported: tuple[Path, Mapping[str, Result]]) -> Iterator[httpx.Client]:
    store, _ = imported
    with serving(store, "--engines", "1") as served, httpx.Client(base_url=served.address, timeout=120) as client:
        yield client


@pytest.mark.parametrize("name", [name for name, stranger in STRANGERS.items() if not stranger.is_unaided])
def test_what_is_not_in_the_files_is_asked_in_one_round(name: str, tmp_path: Path) -> None:
    ran = _import(name, tmp_path, [])
    assert ran.exit_code == 1
    assert isinstance(ran.exception, SystemExit), ran.exception
    assert "the whole command with the usual values" in ran.output


@pytest.mark.parametrize("file", NOT_TAKEN)
def test_what_is_not_taken_is_named(file: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        main, ["import", "--name", "x", "--store", str(tmp_path), "--checkpoint", str(FOLDER / file)]
    )
    assert ran.exit_code == 1
    assert isinstance(ran.exception, SystemExit), ran.exception
    assert NOT_TAKEN[file] in ran.output


def _label(answer: Mapping[str, Any], original: Any) -> None:
    """The original's answer is the probabilities in order, a sigmoid for each label, or that of the last label."""
    scores = list(answer["scores"].values())
    if isinstance(original, list | float):
        last = original[0] if isinstance(original, list) else original
        assert scores[-1] == pytest.approx(last, abs=PROBABILITY)
    else:
        assert scores == pytest.approx(original.get("sigmoid", original["probabilities"]), abs=PROBABILITY)


def _values(answer: Mapping[str, Any], original: Sequence[float]) -> None:
    assert [value for row in answer["values"] for value in row] == pytest.approx(original, rel=VALUE, abs=VALUE)


def _translation(answer: Mapping[str, Any], original: str) -> None:
    assert answer["text"] == original


def _tags(answer: Mapping[str, Any], original: Mapping[str, Any]) -> None:
    """The original's tags of all characters, before a dictionary chooses which of them it shows. The digits of a number
    are one word of ours, with the tag of the first one."""
    assert [word["label"] for word in answer["tags"]] == [original["tags"][word["start"]] for word in answer["tags"]]


def _next(answer: Mapping[str, Any], original: Mapping[str, Any]) -> None:
    token = answer["tokens"][0]
    assert token["text"].strip() == original["next"]
    assert math.exp(token["logprob"]) == pytest.approx(max(original["probabilities"]), abs=PROBABILITY)


def _continued(answer: Mapping[str, Any], original: Mapping[str, Any]) -> None:
    """The first characters, each the most probable one."""
    text, probabilities = original["text"], original["probabilities"]
    assert answer["text"][: len(text)] == text
    found = [math.exp(token["logprob"]) for token in answer["tokens"][: len(text)]]
    assert found == pytest.approx(probabilities[: len(text)], abs=PROBABILITY)


KINDS: dict[str, tuple[str, Callable[[Any, Any], None]]] = {
    "forecast": ("/v1/forecast", _values),
    "label": ("/v1/classify", _label),
    "translation": ("/v1/translate", _translation),
    "tags": ("/v1/tag", _tags),
    "next": ("/v1/complete", _next),
    "continued": ("/v1/complete", _continued),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_answers_are_those_of_the_original(
    name: str, imported: tuple[Path, Mapping[str, Result]], service: httpx.Client
) -> None:
    _, printed = imported
    assert printed[name].exit_code == 0, printed[name].output
    path, compare = KINDS[STRANGERS[name].kind]
    recorded = _recorded(name)
    inputs = recorded["inputs"]
    options: dict[str, int] = {}
    if path == "/v1/complete":
        options = {"max_tokens": 1 if STRANGERS[name].kind == "next" else 30, "logprobs": 0}
    answered = service.post(path, json={"inputs": inputs, "model": name.replace("_", "-").lower(), **options})
    assert answered.status_code == 200, answered.text
    for answer, original in zip(answered.json()["results"], recorded["answers"], strict=True):
        compare(answer, original)
