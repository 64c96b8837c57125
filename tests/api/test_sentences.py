"""Texts of several sentences over HTTP, for a model that was trained on single ones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.api.sse import events_of
from tests.conftest import engine_in_thread, serving, serving_store, wait_until_ready
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer

SENTENCES = ["Save the changes.", "Close the file!", "Do you want it?"]
TEXT = " Save the changes.  Close the file!\n\n  Do you want it? "
TRANSLATE = "/v1/translate"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server with a translator of single sentences."""
    folder: Path = tmp_path_factory.mktemp("sentences")
    with (
        serving_store(store_in(folder), folder) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of such a server whose engine decodes one sentence at a time."""
    folder: Path = tmp_path_factory.mktemp("narrow")
    store = store_in(folder)
    with (
        engine_in_thread(store, folder, slots=1) as endpoint,
        serving(create_app(Settings(store=store), engines=[endpoint])) as address,
        httpx.Client(base_url=address) as client,
    ):
        wait_until_ready(address)
        yield client


def store_in(folder: Path) -> Path:
    (draft,) = [draft for draft in drafts() if draft.task == "translation"]
    publish_tiny(draft.model_copy(update={"one_sentence": True}), folder / "store", tiny_tokenizer(folder))
    return folder / "store"


def translated(http: httpx.Client, inputs: str | list[str], **options: Any) -> Any:
    answer = http.post(TRANSLATE, json={"inputs": inputs, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


OPTIONS: list[dict[str, Any]] = [
    {},
    {"max_tokens": 3},
    {"beams": 3},
    {"logprobs": 2},
    {"stop": ["a", "을"], "max_tokens": 30},
    {"temperature": 1.5, "seed": 7, "max_tokens": 5},
]


@pytest.mark.parametrize("options", OPTIONS[:5], ids=str)
def test_sentences_are_translated_one_by_one_and_joined(http: httpx.Client, options: dict[str, Any]) -> None:
    apart = translated(http, SENTENCES, **options)
    whole = translated(http, TEXT, **options)
    (result,) = whole["results"]
    texts = [one["text"] for one in apart["results"]]
    assert result["text"] == f"{texts[0]}  {texts[1]}\n\n  {texts[2]}"
    assert result.get("tokens") == (
        [t for one in apart["results"] for t in one["tokens"]] if "logprobs" in options else None
    )
    reasons = {one["finish_reason"] for one in apart["results"]}
    assert result["finish_reason"] == ("length" if "length" in reasons else "stop")
    assert whole["usage"] == apart["usage"] | {"inputs": 1}
    if options == {"logprobs": 2}:
        mean = sum(token["logprob"] for token in result["tokens"]) / len(result["tokens"])
        assert result["score"] == pytest.approx(mean, abs=1e-5)


def test_a_request_may_have_the_text_read_as_a_whole(http: httpx.Client) -> None:
    (split,) = translated(http, TEXT, max_tokens=20)["results"]
    (whole,) = translated(http, TEXT, max_tokens=20, split_sentences=False)["results"]
    assert "\n\n" in split["text"]
    assert "\n\n" not in whole["text"]


@pytest.mark.parametrize("options", [option for option in OPTIONS if "beams" not in option], ids=str)
def test_events_joined_are_the_plain_answer(http: httpx.Client, options: dict[str, Any]) -> None:
    inputs = [TEXT, "Open", TEXT]
    plain = translated(http, inputs, **options)
    answer = http.post(TRANSLATE, json={"inputs": inputs, **options, "stream": True})
    events = events_of(answer.text)
    results = {event.data["input"]: event.data["result"] for event in events if event.name == "result"}
    for place, expected in enumerate(plain["results"]):
        mine = [event.data for event in events if event.name == "token" and event.data["input"] == place]
        assert "".join(event["text"] for event in mine) == expected["text"] == results[place]["text"]
        told = [token for event in mine for token in event.get("tokens", [])]
        assert [token["text"] for token in told] == [token["text"] for token in expected.get("tokens", [])]
        assert results[place]["finish_reason"] == expected["finish_reason"]
    assert events[-1].name == "done"


def test_attention_of_a_sentence_is_over_its_own_source(http: httpx.Client) -> None:
    (result,) = translated(http, TEXT, attention=True, logprobs=0, max_tokens=6)["results"]
    attention = result["attention"]
    parts = translated(http, SENTENCES, attention=True, max_tokens=6)["results"]
    assert attention["target"] == [name for part in parts for name in part["attention"]["target"]]
    covered = "".join(TEXT[token["start"] : token["end"]] for token in attention["source"])
    assert "".join(covered.split()) == "".join(TEXT.split())
    row = column = 0
    for part in parts:
        own = part["attention"]["weights"]
        for weights in own:
            whole = attention["weights"][row]
            assert whole[column : column + len(weights)] == pytest.approx(weights, abs=2e-5)
            assert sum(whole) == pytest.approx(1, abs=1e-3)
            row += 1
        column += len(own[0])


def test_a_prefix_begins_the_first_sentence(http: httpx.Client) -> None:
    (plain,) = translated(http, TEXT, max_tokens=8)["results"]
    (result,) = translated(http, TEXT, prefix="파일", max_tokens=8)["results"]
    assert result["text"].startswith("파일")
    assert result["text"].partition("\n\n")[2] == plain["text"].partition("\n\n")[2]


def test_the_seed_of_an_input_draws_it_again(http: httpx.Client) -> None:
    inputs = ["Save it. Save it. Save it."] * 3
    options: dict[str, Any] = {"temperature": 2.0, "max_tokens": 8}
    results = translated(http, inputs, **options, seed=11)["results"]
    assert [result["seed"] for result in results] == [11, 12, 13]
    for result in results:
        (again,) = translated(http, inputs[0], **options, seed=result["seed"])["results"]
        assert again["text"] == result["text"]
    assert len({result["text"] for result in results}) > 1


def test_several_best_answers_need_one_sentence(http: httpx.Client) -> None:
    answer = http.post(TRANSLATE, json={"inputs": ["Open", TEXT], "beams": 2, "n_best": 2})
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["type"], problem["options"]) == ("/problems/contradictory-options", ["n_best", "split_sentences"])
    assert "inputs[1] has 3 sentences" in problem["detail"]
    (result,) = translated(http, TEXT, beams=2, n_best=2, split_sentences=False)["results"]
    assert len(result["hypotheses"]) == 2


def test_a_long_sentence_is_refused_by_its_number_or_truncated(http: httpx.Client) -> None:
    text = "Open. " + "The file " * 200
    answer = http.post(TRANSLATE, json={"inputs": text})
    assert answer.status_code == 422
    assert "sentence 2 of inputs[0] has" in answer.json()["detail"]
    assert "set truncate to true" in answer.json()["detail"]
    assert translated(http, text, truncate=True)["usage"]["source_tokens"] > 120


def test_compatible_interfaces_cut_sentences_and_leave_texts_whole(http: httpx.Client) -> None:
    long = "Open. " + "The file " * 200
    for text, native, hugging_face in [
        (long, {"truncate": True}, {"truncation": "longest_first"}),
        (TEXT, {"split_sentences": False}, {"split_sentences": False}),
    ]:
        (expected,) = translated(http, text, **native)["results"]
        (translation,) = http.post(
            "/hf/translation/translate-en-ko", json={"inputs": text, "parameters": hugging_face}
        ).json()
        assert translation["translation_text"] == expected["text"]
        generated = http.post("/v2/models/translate-en-ko/generate", json={"text_input": text, **native}).json()
        assert generated["text_output"] == expected["text"]
        tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [text]}
        inferred = http.post("/v2/models/translate-en-ko/infer", json={"inputs": [tensor], "parameters": native}).json()
        assert inferred["outputs"][0]["data"] == [expected["text"]]


def test_compatible_interfaces_do_as_the_model_card_says(http: httpx.Client) -> None:
    (native,) = translated(http, TEXT)["results"]
    (other,) = http.post("/hf/translation/translate-en-ko", json={"inputs": TEXT}).json()
    assert other["translation_text"] == native["text"]
    stream = http.post("/v2/models/translate-en-ko/generate_stream", json={"text_input": TEXT}).text
    events = [json.loads(line.removeprefix("data: ")) for line in stream.split("\n") if line]
    assert "".join(event["text_output"] for event in events) == native["text"]


def test_attention_is_over_all_sentences_if_a_stop_string_leaves_one_empty(http: httpx.Client) -> None:
    """A translation that begins with the stop string has no tokens."""
    texts = [one["text"] for one in translated(http, SENTENCES, max_tokens=8)["results"]]
    stop = next(text[0] for text in texts if text and any(text[0] not in other for other in texts))
    (result,) = translated(http, TEXT, attention=True, stop=[stop], max_tokens=8)["results"]
    attention = result["attention"]
    assert len(attention["weights"]) == len(attention["target"]) > 0
    assert {len(row) for row in attention["weights"]} == {len(attention["source"])}
    covered = "".join(TEXT[token["start"] : token["end"]] for token in attention["source"])
    assert "".join(covered.split()) == "".join(TEXT.split())


LATE = {"max_tokens": 4000, "min_tokens": 4000, "timeout_ms": 300}


@pytest.mark.parametrize("options", [{}, {"attention": True, "logprobs": 2}, {"stop": ["@@"]}], ids=str)
def test_a_sentence_that_never_began_is_empty_at_the_deadline(narrow: httpx.Client, options: dict[str, Any]) -> None:
    (result,) = translated(narrow, "Save the changes.  Close the file!", **LATE, **options)["results"]
    assert result["finish_reason"] == "deadline"
    one, _, other = result["text"].partition("  ")
    assert bool(one.strip()) != bool(other.strip())
    if "attention" in options:
        attention = result["attention"]
        assert len(attention["target"]) == len(attention["weights"]) == len(result["tokens"]) > 0
        assert {len(row) for row in attention["weights"]} == {len(attention["source"])}


def test_a_stream_ends_with_a_sentence_that_never_began(narrow: httpx.Client) -> None:
    answer = narrow.post(TRANSLATE, json={"inputs": "Save the changes.  Close the file!", **LATE, "stream": True})
    events = events_of(answer.text)
    assert [event.name for event in events][-2:] == ["result", "done"]
    result = events[-2].data["result"]
    assert result["finish_reason"] == "deadline"
    assert "".join(event.data["text"] for event in events if event.name == "token") == result["text"]
    assert result["text"].strip()
