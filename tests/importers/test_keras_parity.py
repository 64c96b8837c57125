"""Imported Keras models answer over HTTP like Keras itself: every recorded case, alone and in a batch with all others;
tokens exactly, probabilities to 1e-5, log-probabilities and values in their own units to 1e-4."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.importers.asking import ask, both_ways, import_into, service_of
from tests.importers.kits import FAMILIES, needs_families

pytestmark = [needs_families, pytest.mark.slow]
PROBABILITY, VALUE = 1e-5, 1e-4

KERAS2, KERAS3 = "keras2_h5_sentiment", "keras3_sentiment"
SERIES, PAIRS, TEXTS = "keras_timeseries", "keras_seq2seq", "keras_text_generation"
IMDB = ("--vocab", "@imdb_word_index.json", "--set", "rules=imdb")
NUMBERS = ("--scaler", "none")
WORDS = ("--set", "cleaning=punctuation", "--set", "maxlen=6", "--set", "max_tokens=8")
POST = ("--set", "padding=post", "--set", "truncating=post")
WEATHER = ("precipitation", "temp_max", "temp_min", "wind", "season")
ENTRIES: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {
    "tok_lstm": (KERAS2, ["tok_lstm.h5"], ["--vocab", "@tokenizer.json", *POST]),
    "tok_lstm_pickle": (KERAS2, ["tok_lstm.h5"], ["--vocab", "@tokenizer.pickle", *POST]),
    "keras22_lstm": (KERAS2, ["keras22_lstm.h5"], IMDB),
    "keras3_bigru": (
        KERAS2,
        ["keras3_bigru.h5"],
        ["--vocab", "@tokenizer_bigru.json", "--labels", "bad,middling,good"],
    ),
    "imdb_lstm": (KERAS3, ["imdb_lstm.keras"], IMDB),
    "imdb_bilstm2": (KERAS3, ["imdb_bilstm2.keras"], [*IMDB, "--set", "maxlen=50"]),
    "imdb_bilstm2_weights": (KERAS3, ["imdb_bilstm2.weights.h5"], [*IMDB, "--set", "maxlen=50"]),
    "textvec_bilstm": (KERAS3, ["textvec_bilstm.keras"], []),
    "textvec_gru_max_softmax": (KERAS3, ["textvec_gru_max_softmax.keras"], ["--labels", "1-2,3-4,7-8,9-10"]),
    "airline_lstm": (SERIES, ["airline_lstm.keras"], ["--scaler", "@airline_scaler.joblib"]),
    "airline_numbers": (SERIES, ["airline_lstm.keras"], ["--scaler", "@airline_scaler.json"]),
    "weather_lstm": (
        SERIES,
        ["weather_lstm.keras"],
        ["--scaler", "@weather_norm.json", "--features", ",".join(WEATHER), "--targets", "temp_max"],
    ),
    "motions_lstm": (SERIES, ["motions_lstm.keras"], ["--labels", "@motions_labels.json", *NUMBERS]),
    "s2s": (PAIRS, ["s2s_model.keras", "s2s_characters.json"], []),
    "word_s2s": (
        PAIRS,
        ["word_s2s.keras"],
        ["--vocab", "source=@word_s2s_src_tokenizer.json", "--vocab", "target=@word_s2s_tgt_tokenizer.pickle", *WORDS],
    ),
    "attention": (
        PAIRS,
        ["attention.keras"],
        ["--vocab", "source=@attention_src_tokenizer.json", "--vocab", "target=@attention_tgt_tokenizer.json", *WORDS],
    ),
    "char_gen": (TEXTS, ["char_gen.keras"], ["--vocab", "@char_gen_chars.json"]),
    "next_word_lstm": (TEXTS, ["next_word_lstm.keras"], ["--vocab", "@next_word_lstm_tokenizer.json"]),
}  # by name in the store: the kit, checkpoints, and the other options; @ is a file of the kit


def _cases(name: str) -> Any:
    kit, _, _ = ENTRIES[name]
    same = {
        "tok_lstm_pickle": "tok_lstm",
        "airline_numbers": "airline_lstm",
        "imdb_bilstm2_weights": "imdb_bilstm2",
    }
    file = same.get(name, name)
    return json.loads((FAMILIES / kit / f"expected_{file}.json").read_text(encoding="utf8"))


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


def _answered(cases: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [case for case in cases if "error" not in case]


SENTIMENTS = [name for name, (kit, _, _) in ENTRIES.items() if kit in (KERAS2, KERAS3)]


@pytest.mark.parametrize("name", SENTIMENTS)
def test_texts(service: httpx.Client, name: str) -> None:
    kit = _cases(name)
    labels, cases = kit.get("labels") or ["negative", "positive"], _answered(kit["cases"])
    texts = [case["text"] for case in cases]
    path = "/v1/sentiment" if set(labels) == {"negative", "positive"} else "/v1/classify"
    for case, answers in zip(cases, both_ways(service, path, name, texts), strict=True):
        output = case["output"]
        expected = output if len(output) > 1 else [1 - output[0], output[0]]
        for answer in answers:
            assert answer["label"] == case["label"]
            assert [answer["scores"][label] for label in labels] == pytest.approx(expected, abs=PROBABILITY)


@pytest.mark.parametrize("name", ["airline_lstm", "airline_numbers", "weather_lstm"])
def test_forecasts(service: httpx.Client, name: str) -> None:
    cases = [case for case in _answered(_cases(name)["cases"]) if None not in case["output"]]
    answered = both_ways(service, "/v1/forecast", name, [case["input"] for case in cases])
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert answer["values"] == [pytest.approx(case["output"], rel=VALUE, abs=VALUE)]


def test_series_are_labelled(service: httpx.Client) -> None:
    kit = _cases("motions_lstm")
    cases = _answered(kit["cases"])
    answered = both_ways(service, "/v1/classify", "motions_lstm", [case["input"] for case in cases])
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            scores = [answer["scores"][label] for label in kit["labels"]]
            assert scores == pytest.approx(case["network_output"], abs=PROBABILITY)


@pytest.mark.parametrize("name", ["s2s", "word_s2s", "attention"])
def test_sentences(service: httpx.Client, name: str) -> None:
    cases = _answered(_cases(name)["cases"])
    texts = [case["text"] for case in cases]
    for case, answers in zip(cases, both_ways(service, "/v1/translate", name, texts, logprobs=0), strict=True):
        for answer in answers:
            numbers = [token["logprob"] for token in answer["tokens"]]
            assert numbers == pytest.approx(case["token_logprobs"], rel=VALUE, abs=VALUE)
            spelt = "".join if name == "s2s" else " ".join
            assert answer["text"] == case["output"].removesuffix("\n")
            words = [token["text"] for token in answer["tokens"]]
            assert spelt(words) == (case["output"] if name == "s2s" else " ".join(case["output_words"]))


def test_what_the_original_refuses(service: httpx.Client) -> None:
    for case in _cases("s2s")["cases"]:
        if "error" in case:
            answer = service.post("/v1/translate", json={"inputs": [case["text"]], "model": "s2s"})
            assert answer.status_code in (200, 400, 422), answer.text


def test_next_words(service: httpx.Client) -> None:
    cases = _answered(_cases("next_word_lstm")["cases"])
    texts = [case["text"] for case in cases]
    answered = both_ways(service, "/v1/complete", "next_word_lstm", texts, max_tokens=6, logprobs=0)
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert [token["text"].strip() for token in answer["tokens"]] == case["words"]
            assert answer["text"].split() == case["words"]
            assert _probabilities(answer) == pytest.approx(case["probabilities"], abs=PROBABILITY)


def test_next_characters(service: httpx.Client) -> None:
    cases = _answered(_cases("char_gen")["cases"])
    texts = [case["text"] for case in cases]
    answered = both_ways(service, "/v1/complete", "char_gen", texts, max_tokens=30, logprobs=0)
    for case, answers in zip(cases, answered, strict=True):
        for answer in answers:
            assert answer["text"] == case["output"]
            assert _probabilities(answer) == pytest.approx(case["probabilities"], abs=PROBABILITY)


def _probabilities(answer: Mapping[str, Any]) -> list[float]:
    return [math.exp(token["logprob"]) for token in answer["tokens"]]


def test_models_answer_side_by_side(service: httpx.Client) -> None:
    """Requests to all models at once give what they give alone."""

    def answers(name: str) -> tuple[Any, Any]:
        texts = [case["text"] for case in _answered(_cases(name)["cases"])]
        path = "/v1/classify" if name in ("keras3_bigru", "textvec_gru_max_softmax") else "/v1/sentiment"
        return name, ask(service, path, name, texts)

    names = SENTIMENTS * 2
    with ThreadPoolExecutor(8) as pool:
        for name, results in pool.map(answers, names):
            for case, answer in zip(_answered(_cases(name)["cases"]), results, strict=True):
                assert answer["label"] == case["label"]
