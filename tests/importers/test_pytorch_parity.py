"""Imported PyTorch models of the kits answer over HTTP like the original modules: every recorded case, alone and in a
batch with all others; tokens, tags and labels exactly, probabilities to 1e-5, log-probabilities and values in their own
units to 1e-4."""

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.cli.main import main
from tests.importers.asking import ask, both_ways, import_into, service_of
from tests.importers.kits import FAMILIES, needs_families

pytestmark = [needs_families, pytest.mark.slow]
PROBABILITY, VALUE = 1e-5, 1e-4

SERIES, FRAMES, TAGGERS, CHARACTERS = (
    "pytorch_timeseries",
    "pytorch_cnn_lstm_frames",
    "pytorch_tagger",
    "pytorch_char_rnn",
)
WORDS, FASTAI, DARTS, ONNX = "pytorch_word_language_model", "fastai_awd_lstm", "darts_rnn", "onnx_records"
WEATHER = ("--scaler", "features=@feature_scaler.pkl", "--scaler", "targets=@target_scaler.pkl")
ENTRIES: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {
    "lstm_airline": (SERIES, ["lstm_airline.pth", "scaler.joblib"], []),
    "lstm_airline_numbers": (SERIES, ["lstm_airline.pth"], ["--scaler", "@scaler.json"]),
    "gru_weather": (SERIES, ["gru_weather.pt"], WEATHER),
    "resnet_lstm_motions": (SERIES, ["resnet_lstm_motions.pth", "motions_labels.json"], ["--scaler", "none"]),
    "lstm_fcn_italy": (SERIES, ["lstm_fcn_italy.pth"], ["--labels", "1,2", "--scaler", "none"]),
    "block_rnn": (DARTS, ["block_rnn.pt.ckpt"], ["--scaler", "min-max:104,467"]),
    "lstm_airline_legacy": (ONNX, ["lstm_airline_legacy.onnx"], ["--scaler", "none"]),
    "lstm_airline_dynamo": (ONNX, ["lstm_airline_dynamo.onnx"], ["--scaler", "none"]),
    "cnnlstm": (FRAMES, ["cnnlstm-Epoch-6.pth", "actions.json"], ["--set", "image_size=56"]),
    "resnetcrnn": (
        FRAMES,
        ["rnn_decoder_epoch6.pth", "cnn_encoder_epoch6.pth", "actions.pkl"],
        ["--set", "image_size=64"],
    ),
    "bilstm_tagger": (TAGGERS, ["bilstm_tagger.pth"], ["--set", "tokenizer=spaces_lower"]),
    "lstm_tagger": (TAGGERS, ["lstm_tagger.pt", "tag_to_ix.json"], ["--vocab", "@word_to_ix.json"]),
    "rnn_20_epoch": (CHARACTERS, ["rnn_20_epoch.net"], []),
    "spro_gru": (CHARACTERS, ["shakespeare.pt"], ["--vocab", "printable", "--set", "tokenizer=characters"]),
    "lstm": (
        WORDS,
        ["model.pt"],
        [
            "--vocab",
            "@lstm_idx2word.json",
            *("--set", "tokenizer=spaces", "--set", "start=none", "--set", "end=none"),
        ],
    ),
    "clas": (FASTAI, ["clas.pth"], ["--vocab", "@clas_vocab.json", "--labels", "@clas_labels.json"]),
    "clas_no_opt": (FASTAI, ["clas_no_opt.pth", "clas_vocab.pkl"], []),
    "lm": (FASTAI, ["lm.pth"], ["--vocab", "@lm_vocab.json"]),
}  # by name in the store: the kit, checkpoints, and the other options; @ is a file of the kit
SAME = {"lstm_airline_numbers": "lstm_airline", "clas_no_opt": "clas"}


def _kit(name: str) -> Any:
    kit, _, _ = ENTRIES[name]
    return json.loads((FAMILIES / kit / f"expected_{SAME.get(name, name)}.json").read_text(encoding="utf8"))


def _cases(name: str) -> list[Mapping[str, Any]]:
    """Without those that the original refuses."""
    return [case for case in _kit(name)["cases"] if "error" not in case]


def _import(name: str, store: Path) -> None:
    kit, checkpoints, options = ENTRIES[name]
    folder = FAMILIES / kit
    import_into(
        name, store, [folder / one for one in checkpoints], [option.replace("@", f"{folder}/") for option in options]
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with all models of the kits, imported by the command."""
    store = tmp_path_factory.mktemp("imported")
    for name in ENTRIES:
        _import(name, store)
    with service_of(store) as client:
        yield client


@pytest.mark.parametrize("name", ["lstm_airline", "lstm_airline_numbers", "gru_weather"])
def test_forecasts(service: httpx.Client, name: str) -> None:
    cases = _cases(name)
    answered = both_ways(service, "/v1/forecast", name, [case["input"] for case in cases])
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert answer["values"] == [pytest.approx(case["output"], rel=VALUE, abs=VALUE)]


def test_several_steps_ahead(service: httpx.Client) -> None:
    cases = _cases("block_rnn")
    answered = both_ways(service, "/v1/forecast", "block_rnn", [case["input"] for case in cases])
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert [row[0] for row in answer["values"]] == pytest.approx(case["output"], rel=VALUE, abs=VALUE)


@pytest.mark.parametrize("name", ["lstm_airline_legacy", "lstm_airline_dynamo"])
def test_onnx(service: httpx.Client, name: str) -> None:
    pairs = [pair for case in _cases(name) for pair in zip(case["input"], case["output"], strict=True)]
    answered = both_ways(service, "/v1/forecast", name, [rows for rows, _ in pairs])
    for (_, output), answers in zip(pairs, answered, strict=True):
        for answer in answers:
            assert answer["values"] == [pytest.approx(output, abs=PROBABILITY)]


@pytest.mark.parametrize("name", ["resnet_lstm_motions", "lstm_fcn_italy"])
def test_series_are_labelled(service: httpx.Client, name: str) -> None:
    cases, labels = _cases(name), _kit(name)["labels"]
    answered = both_ways(service, "/v1/classify", name, [case["input"] for case in cases])
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert answer["label"] == case["label"]
            assert [answer["scores"][label] for label in labels] == pytest.approx(
                case["probabilities"], abs=PROBABILITY
            )


@pytest.mark.parametrize("name", ["cnnlstm", "resnetcrnn"])
def test_clips(service: httpx.Client, name: str) -> None:
    """In a batch as JSON, alone as files of a form."""
    cases, labels = _cases(name), _kit(name)["labels"]
    files = [[(FAMILIES / FRAMES / frame).read_bytes() for frame in case["frames"]] for case in cases]
    clips = [{"frames": [base64.b64encode(image).decode() for image in images]} for images in files]
    together = ask(service, "/v1/classify", name, clips)
    for case, images, one in zip(cases, files, together, strict=True):
        parts = [("frames", (f"{number}.png", image)) for number, image in enumerate(images)]
        alone = service.post("/v1/classify", files=parts, data={"model": name})
        assert alone.status_code == 200, alone.text
        for answer in (one, alone.json()["results"][0]):
            assert answer["label"] == case["label"]
            assert [answer["scores"][label] for label in labels] == pytest.approx(
                case["probabilities"], abs=PROBABILITY
            )


@pytest.mark.parametrize("name", ["bilstm_tagger", "lstm_tagger"])
def test_tags(service: httpx.Client, name: str) -> None:
    cases = _cases(name)
    answered = both_ways(service, "/v1/tag", name, [case["text"] for case in cases])
    for case, answers in zip(cases, answered, strict=True):
        rows = case.get("log_probs") or [_log_softmax(row) for row in case["logits"]]
        for answer in answers:
            assert [word["label"] for word in answer["tags"]] == case["tags"]
            assert [word["text"] for word in answer["tags"]] == case["words"]
            scores = [word["score"] for word in answer["tags"]]
            assert scores == pytest.approx([math.exp(max(row)) for row in rows], abs=PROBABILITY)


def _log_softmax(row: Sequence[float]) -> list[float]:
    total = math.log(sum(math.exp(number - max(row)) for number in row)) + max(row)
    return [number - total for number in row]


@pytest.mark.parametrize(("name", "steps"), [("rnn_20_epoch", 41), ("spro_gru", 40)])
def test_characters(service: httpx.Client, name: str, steps: int) -> None:
    cases = _cases(name)
    texts = [case["text"] for case in cases]
    answered = both_ways(service, "/v1/complete", name, texts, max_tokens=steps, logprobs=0)
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert "".join(token["text"] for token in answer["tokens"])[: len(case["output"])] == case["output"]
            assert answer["text"][: len(case["output"])] == case["output"]
            numbers = [math.exp(token["logprob"]) for token in answer["tokens"]]
            assert numbers == pytest.approx(case["probabilities"], abs=PROBABILITY)


@pytest.mark.parametrize(("name", "steps", "words"), [("lstm", 10, "greedy_words"), ("lm", 12, "greedy_tokens")])
def test_words(service: httpx.Client, name: str, steps: int, words: str) -> None:
    cases = [case for case in _cases(name) if words in case]
    texts = [case["text"] for case in cases]
    answered = both_ways(service, "/v1/complete", name, texts, max_tokens=steps, logprobs=0)
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert [token["text"].strip() for token in answer["tokens"]] == case[words]
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(case["greedy_logprobs"], rel=VALUE, abs=VALUE)


@pytest.mark.parametrize("name", ["clas", "clas_no_opt"])
def test_texts(service: httpx.Client, name: str) -> None:
    cases = _cases(name)
    answered = both_ways(service, "/v1/sentiment", name, [case["text"] for case in cases])
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert answer["label"] == case["label"]
            assert list(answer["scores"].values()) == pytest.approx(case["probabilities"], abs=PROBABILITY)


@pytest.mark.parametrize("name", ["lstm_tagger", "bilstm_tagger", "rnn_20_epoch", "spro_gru", "lstm"])
def test_what_the_original_refuses(service: httpx.Client, name: str) -> None:
    """An unknown word or an empty text is an error of the caller, or an answer; never a fault of the service."""
    path = "/v1/tag" if ENTRIES[name][0] == TAGGERS else "/v1/complete"
    refused = [case for case in _kit(name)["cases"] if "error" in case]
    assert refused
    for case in refused:
        answer = service.post(path, json={"inputs": [case["text"]], "model": name.replace("_", "-")})
        assert answer.status_code in (200, 400, 422), answer.text


def test_models_answer_side_by_side(service: httpx.Client) -> None:
    """Requests to several models at once give what they give alone."""
    names = ["lstm_airline", "gru_weather", "block_rnn"] * 3

    def answers(name: str) -> tuple[str, list[dict[str, Any]]]:
        return name, ask(service, "/v1/forecast", name, [case["input"] for case in _cases(name)])

    with ThreadPoolExecutor(8) as pool:
        for name, results in pool.map(answers, names):
            for case, answer in zip(_cases(name), results, strict=True):
                numbers = [number for row in answer["values"] for number in row]
                assert numbers == pytest.approx(case["output"], rel=VALUE, abs=VALUE)


@pytest.mark.parametrize(
    ("kit", "file", "said"),
    [
        (FASTAI, "clas_export.pkl", "learn.save"),
        (FASTAI, "clas_encoder.pth", "without the head that answers"),
        (DARTS, "block_rnn.pt", "give the file with .ckpt at the end"),
        (ONNX, "keras_imdb_lstm.onnx", "write a recurrence as a loop"),
    ],
)
def test_the_others_are_named_with_the_way_out(tmp_path: Path, kit: str, file: str, said: str) -> None:
    arguments = ["import", "--name", "other", "--store", str(tmp_path), "--checkpoint", str(FAMILIES / kit / file)]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 1
    assert said in ran.output
    assert not list(tmp_path.glob("other*"))
