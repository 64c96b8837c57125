"""`POST /v1/tag`: the labels of plain PyTorch for each word, joined to spans."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from app.models.networks import Tagger
from app.models.pieces import at_once
from app.store.model_store import open_version
from app.tasks.catalog import entry_of
from app.tasks.registry import CHECKS
from tests.api.test_classify import refused, results_of
from tests.engine.references import open_shipped
from tests.tasks.test_spans import reference
from tests.tiny_numbers import TAGS

TEXT = "a warm and funny film that i would gladly see again"


def tag(kinds: httpx.Client, inputs: Any, **options: Any) -> list[dict[str, Any]]:
    return results_of(kinds.post("/v1/tag", json={"inputs": inputs, "model": "tag-tiny", **options}))


@torch.inference_mode()
def plain(store: Path, model: str, text: str) -> tuple[list[str], list[list[float]]]:
    """The labels and probabilities at the first token of each word."""
    shipped = open_shipped(store, f"{model}/1")
    entry = entry_of(open_version(store / model / "1"), CHECKS)
    assert isinstance(shipped.network, Tagger)
    ids, words = entry.tokenizer.encode_words(text)
    lengths = torch.tensor([len(ids)])
    logits = shipped.network.logits(shipped.network.encoder(torch.tensor([ids]), lengths))
    if shipped.network.crf is None:
        rows = logits[0].softmax(1)
        best = rows.argmax(1).tolist()
    else:
        rows = at_once(shipped.network.crf.marginals(logits, lengths))[0]
        best = at_once(shipped.network.crf.best_paths(logits, lengths))[0].tolist()
    places = [word.first for word in words if word is not None]
    return [TAGS[best[place]] for place in places], [rows[place].tolist() for place in places]


@pytest.mark.parametrize("model", ["tag-tiny", "tag-crf"])
def test_labels_are_those_of_plain_pytorch(kinds: httpx.Client, every_kind: Path, model: str) -> None:
    (result,) = tag(kinds, TEXT, model=model, scores=True)
    labels, rows = plain(every_kind, model, TEXT)
    assert [word["text"] for word in result["tags"]] == TEXT.split()
    assert [word["label"] for word in result["tags"]] == labels
    for word, row in zip(result["tags"], rows, strict=True):
        assert TEXT[word["start"] : word["end"]] == word["text"]
        assert list(word["scores"]) == list(TAGS)
        assert list(word["scores"].values()) == pytest.approx(row, abs=2e-2)  # texts are read with 16 bits
        assert word["score"] == word["scores"][word["label"]]
    assert (result["model"], result["version"]) == (model, 1)


def test_spans_join_the_words(kinds: httpx.Client) -> None:
    seen = 0
    for number in range(12):
        text = f"{TEXT[number:]} file {number} save the changes"
        (result,) = tag(kinds, text, model="tag-tiny")
        words = result["tags"]
        expected = reference([word["label"] for word in words])
        for span, found in zip(result["spans"], expected, strict=True):
            assert (span["label"], span["first"], span["last"]) == (found.label, found.first, found.last)
            assert (span["start"], span["end"]) == (words[found.first]["start"], words[found.last]["end"])
            assert span["text"] == text[span["start"] : span["end"]]
            scores = [word["score"] for word in words[found.first : found.last + 1]]
            assert span["score"] == pytest.approx(np.mean(scores))
            seen += 1
    assert seen


def test_scores_of_all_labels_only_if_wanted(kinds: httpx.Client) -> None:
    (result,) = tag(kinds, TEXT)
    assert all(word.keys() == {"text", "start", "end", "label", "score"} for word in result["tags"])


def test_the_default_has_its_labels_at_the_last_token_of_a_word(kinds: httpx.Client, every_kind: Path) -> None:
    (result,) = results_of(kinds.post("/v1/tag", json={"inputs": TEXT}))
    assert result["model"] == "tag-en"
    assert "spans" not in result  # its labels mark none
    entry = entry_of(open_version(every_kind / "tag-en" / "1"), CHECKS)
    ids, words = entry.tokenizer.encode_words(TEXT)
    network = open_shipped(every_kind, "tag-en/1").network
    assert isinstance(network, Tagger)
    rows = network.logits(network.encoder(torch.tensor([ids]), torch.tensor([len(ids)])))[0].argmax(1).tolist()
    assert any(word is not None and rows[word.first] != rows[word.last] for word in words)
    expected = [entry.manifest.labels[rows[word.last]] for word in words if word is not None]
    assert [word["label"] for word in result["tags"]] == expected


def test_a_list_of_words_is_tagged_word_by_word(kinds: httpx.Client) -> None:
    words = TEXT.split()
    (text,), (listed,) = tag(kinds, TEXT), tag(kinds, [words])
    assert listed == text
    joined = ["a", "warm and", "fun", "ny"]  # words of a user's own: one has a space
    (own,) = tag(kinds, [joined])
    assert [word["text"] for word in own["tags"]] == joined
    assert [(word["start"], word["end"]) for word in own["tags"]] == [(0, 1), (2, 10), (11, 14), (15, 17)]


def test_texts_and_lists_of_words_together(kinds: httpx.Client) -> None:
    inputs = [TEXT, TEXT.split()[:4], "save the file", ["x"]]
    together = tag(kinds, inputs)
    assert [len(result["tags"]) for result in together] == [11, 4, 3, 1]
    for result, item in zip(together, inputs, strict=True):
        (alone,) = tag(kinds, [item])
        assert [word["label"] for word in alone["tags"]] == [word["label"] for word in result["tags"]]


def test_a_long_text_has_all_its_words(kinds: httpx.Client) -> None:
    text = "save the file " * 200
    (result,) = tag(kinds, text)
    assert len(result["tags"]) == 600
    assert result["tags"][-1]["end"] == len(text.rstrip())


@pytest.mark.parametrize(
    ("inputs", "kind", "words"),
    [
        ("", "empty-input", "inputs[0] is empty"),
        ([TEXT, " \n"], "empty-input", "inputs[1] is empty"),
        ([["a", ""]], "empty-input", "word 1 of inputs[0] is empty"),
        ([[]], "invalid-request", "inputs[0] should be a text, or a list of at least one word"),
        ([TEXT, 7], "invalid-request", "inputs[1] should be a text, or a list of at least one word"),
        ([["a", 7]], "invalid-request", "inputs[0][1] should be a text"),
        ([], "invalid-request", "a text, or a list of texts and of lists of words"),
        ({"words": ["a"]}, "invalid-request", "a text, or a list of texts and of lists of words"),
        (["word " * 5000], "input-too-long", "inputs[0] has 25000 characters"),
        (["word " * 3000], "input-too-long", "the limit of tag-tiny is 2000"),
    ],
)
def test_bad_inputs(kinds: httpx.Client, inputs: Any, kind: str, words: str) -> None:
    refused(kinds.post("/v1/tag", json={"inputs": inputs, "model": "tag-tiny"}), kind, words)


def test_a_text_that_is_cut_has_the_words_before_the_cut(kinds: httpx.Client) -> None:
    (result,) = tag(kinds, "word " * 3000, truncate=True)
    assert 100 < len(result["tags"]) < 3000
    (listed,) = tag(kinds, [["word"] * 3000], truncate=True)
    assert len(listed["tags"]) == len(result["tags"])


def test_too_many_scores_are_refused(kinds: httpx.Client) -> None:
    answer = kinds.post("/v1/tag", json={"inputs": ["a " * 1900] * 60, "model": "tag-tiny", "scores": True})
    problem = refused(answer, "input-too-long", "the scores of the request have", "leave out scores")
    assert problem["limit"] == 500_000


def test_open_inference_has_a_row_of_words(kinds: httpx.Client) -> None:
    texts = [TEXT, "save the file"]
    tensor = {"name": "text_input", "datatype": "BYTES", "shape": [2], "data": texts}
    answer = kinds.post("/v2/models/tag-tiny/infer", json={"inputs": [tensor]})
    outputs = {one["name"]: one for one in answer.json()["outputs"]}
    long, short = tag(kinds, texts)
    assert outputs["word"]["shape"] == outputs["label"]["shape"] == outputs["score"]["shape"] == [2, 11]
    assert outputs["word"]["data"][:11] == [word["text"] for word in long["tags"]]
    assert outputs["label"]["data"][11:] == [*(word["label"] for word in short["tags"]), *[""] * 8]
    assert outputs["score"]["data"][:11] == pytest.approx([word["score"] for word in long["tags"]])
