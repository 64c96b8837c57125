"""Hugging Face's clients of labels of words and of states get those of the native interface."""

from typing import Any

import httpx
import numpy as np
import pytest
from huggingface_hub import InferenceClient

from app.api.compat.hugging_face.reading import _entities
from app.api.compat.hugging_face.reading_schemas import TokenClassificationParameters
from app.tasks.answers.tag_results import WordTags
from app.text.placed_words import PlacedWord

TEXT = "a warm and funny film that i would gladly see again"
OTHER = "do you want to save the changes"


def client(server: str, task: str, model: str) -> InferenceClient:
    return InferenceClient(base_url=f"{server}/hf/{task}/{model}", token="x")


def tags(kinds: httpx.Client, model: str, text: str = TEXT) -> dict[str, Any]:
    answer = kinds.post("/v1/tag", json={"inputs": text, "model": model})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["results"][0]
    return result


@pytest.mark.parametrize("model", ["tag-tiny", "tag-crf", "tag-en"])
def test_words_are_the_native_ones(every_kind_server: str, kinds: httpx.Client, model: str) -> None:
    of = client(every_kind_server, "token-classification", model)
    found = of.token_classification(TEXT, aggregation_strategy="none", ignore_labels=[])
    words = tags(kinds, model)["tags"]
    assert [(item.entity, item.word, item.start, item.end) for item in found] == [
        (word["label"], word["text"], word["start"], word["end"]) for word in words
    ]
    assert [item.score for item in found] == pytest.approx([word["score"] for word in words], abs=1e-4)
    without = of.token_classification(TEXT, aggregation_strategy="none")
    assert [item.word for item in without] == [word["text"] for word in words if word["label"] != "O"]


@pytest.mark.parametrize("model", ["tag-tiny", "tag-crf"])
@pytest.mark.parametrize("strategy", [None, "simple", "first", "average", "max"])
def test_groups_are_the_native_spans(every_kind_server: str, kinds: httpx.Client, model: str, strategy: Any) -> None:
    of = client(every_kind_server, "token-classification", model)
    found = of.token_classification(TEXT, aggregation_strategy=strategy)
    spans = tags(kinds, model)["spans"]
    assert spans
    assert [(item.entity_group, item.word, item.start, item.end) for item in found] == [
        (span["label"], span["text"], span["start"], span["end"]) for span in spans
    ]
    assert [item.score for item in found] == pytest.approx([span["score"] for span in spans], abs=1e-4)


def test_labels_without_marks_join_equal_neighbours(every_kind_server: str, kinds: httpx.Client) -> None:
    found = client(every_kind_server, "token-classification", "tag-en").token_classification(TEXT)
    words = tags(kinds, "tag-en")["tags"]
    labels = [word["label"] for word in words]
    changes = [place for place in range(len(labels)) if place == 0 or labels[place] != labels[place - 1]]
    assert len(changes) < len(labels)
    assert [item.entity_group for item in found] == [labels[place] for place in changes]
    assert " ".join(item.word for item in found) == TEXT


def entities(labels: list[str], *names: str, **parameters: Any) -> list[tuple[Any, ...]]:
    words = [PlacedWord("w", place * 2, place * 2 + 1, place, place) for place in range(len(names))]
    chosen = [labels.index(name) for name in names]
    tags = WordTags(words, labels, chosen, [0.5] * len(names), None)
    found = _entities("w " * len(names), tags, TokenClassificationParameters(**parameters))
    return [(item["entity_group"], item["start"] // 2, item["end"] // 2) for item in found]


def test_words_outside_of_spans_are_joined_between_them() -> None:
    labels = ["O", "B-PER", "I-PER", "B-LOC"]
    names = ("O", "O", "B-PER", "I-PER", "O", "B-PER", "B-LOC", "O")
    spans = [("PER", 2, 3), ("PER", 5, 5), ("LOC", 6, 6)]
    assert entities(labels, *names) == spans
    assert entities(labels, *names, ignore_labels=["PER"]) == [("O", 0, 1), ("O", 4, 4), ("LOC", 6, 6), ("O", 7, 7)]
    assert entities(labels, *names, ignore_labels=[]) == sorted(
        [*spans, ("O", 0, 1), ("O", 4, 4), ("O", 7, 7)], key=lambda span: span[1]
    )


def test_several_texts_have_a_list_each(kinds: httpx.Client) -> None:
    path = "/hf/token-classification/tag-crf"
    body = {"inputs": [TEXT, OTHER], "parameters": {"aggregation_strategy": "none", "ignore_labels": []}}
    long, short = kinds.post(path, json=body).json()
    assert [item["word"] for item in long] == TEXT.split()
    assert [item["word"] for item in short] == OTHER.split()
    assert kinds.post(path, json={**body, "inputs": [TEXT]}).json()[0] == long


@pytest.mark.parametrize("model", ["sentiment-en", "lm-en", "translate-en-ko", "tag-crf"])
def test_features_are_the_native_states(every_kind_server: str, kinds: httpx.Client, model: str) -> None:
    of = client(every_kind_server, "feature-extraction", model)
    for normalize in (False, True):
        found = of.feature_extraction(TEXT, normalize=normalize)
        body = {"inputs": TEXT, "model": model, "normalize": normalize}
        expected = kinds.post("/v1/embed", json=body).json()["results"][0]["embedding"]
        assert found.shape == (1, len(expected))
        np.testing.assert_allclose(found[0], expected, atol=1e-3)
    assert kinds.post(f"/hf/feature-extraction/{model}", json={"inputs": [TEXT, OTHER]}).json()[1]


def test_a_model_of_texts_with_labels_has_text_classification(every_kind_server: str, kinds: httpx.Client) -> None:
    (expected,) = kinds.post("/v1/classify", json={"inputs": TEXT, "model": "sentiment-en"}).json()["results"]
    labels = client(every_kind_server, "text-classification", "sentiment-en").text_classification(TEXT)
    assert {item.label: item.score for item in labels} == pytest.approx(expected["scores"], abs=1e-3)


@pytest.mark.parametrize(
    ("task", "model", "body", "words"),
    [
        ("token-classification", "tag-crf", {"parameters": {"stride": 2}}, "stride"),
        ("token-classification", "tag-crf", {"parameters": {"aggregation_strategy": "best"}}, "none"),
        ("token-classification", "sentiment-en", {}, "tagging model"),
        ("text-classification", "classify-frames", {}, "model"),
        ("feature-extraction", "sentiment-en", {"prompt_name": "query"}, "prompt_name"),
        ("feature-extraction", "sentiment-en", {"dimensions": 4}, "dimensions"),
        ("feature-extraction", "sentiment-en", {"truncation_direction": "left"}, "truncation_direction"),
        ("feature-extraction", "forecast-weather", {}, "forecast-weather"),
        ("feature-extraction", "caption-en", {}, "caption-en"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    kinds: httpx.Client, task: str, model: str, body: dict[str, Any], words: str
) -> None:
    answer = kinds.post(f"/hf/{task}/{model}", json={"inputs": TEXT, **body})
    assert 400 <= answer.status_code < 500, answer.text
    assert words in answer.json()["error"]


def test_a_text_that_is_too_long_is_cut_if_wanted(kinds: httpx.Client) -> None:
    long = "film " * 3000
    for task, model, option in (
        ("token-classification", "tag-crf", "truncation"),
        ("feature-extraction", "sentiment-en", "truncate"),
    ):
        options = {"parameters": {option: True}} if task == "token-classification" else {option: True}
        refused = kinds.post(f"/hf/{task}/{model}", json={"inputs": long})
        assert f"set {option} to true" in refused.json()["error"]
        assert kinds.post(f"/hf/{task}/{model}", json={"inputs": long, **options}).status_code == 200
