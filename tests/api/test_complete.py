"""Completion over HTTP, on untrained networks: the results equal those of the network itself."""

import math
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from app.engine.protocol import Decode, Tokens
from app.models.networks import EncoderDecoder
from tests.api.sse import events_of
from tests.engine.references import Reference, open_shipped
from training.loop import BOS, EOS, PAD, UNK

PREFIXES = ["the plot makes", "a warm and funny film that i would glad", "do you want to save the changes? ", "x", ""]
LONG = "the plot makes no sense and the acting is worse, " * 12


def complete(http: httpx.Client, inputs: str | list[str], **options: Any) -> list[dict[str, Any]]:
    answer = http.post("/v1/complete", json={"inputs": inputs, **options})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


@pytest.mark.parametrize("prefix", [*PREFIXES, LONG])
def test_goes_on_as_the_network_alone_does(http: httpx.Client, tiny_store: Path, prefix: str) -> None:
    shipped = open_shipped(tiny_store, "lm-en/1")
    *source, first = shipped.tokenizer.encode_prefix(prefix.rstrip())
    expected = Reference(shipped, Tokens(source), Decode(16, first=first, alternatives=2)).greedy()
    (result,) = complete(http, prefix, max_tokens=16, logprobs=0)
    ids = [*expected.tokens, EOS][: len(expected.log_probs)]
    margins = [best[1] - second[1] for best, second in expected.alternatives]
    sure = next((place for place, margin in enumerate(margins) if margin < 0.05), len(ids))  # a tie in 16 bits
    assert sure or prefix in ("x", "")
    spelt = [shipped.tokenizer.piece(token) for token in ids]
    assert [token["text"] for token in result["tokens"]][:sure] == spelt[:sure]
    told = [token["logprob"] for token in result["tokens"]]
    assert told[:sure] == pytest.approx(expected.log_probs[:sure], abs=2e-2)


@pytest.mark.parametrize("options", [{}, {"beams": 3}, {"temperature": 1.0, "seed": 3}], ids=str)
def test_many_at_once_are_as_each_alone(http: httpx.Client, options: dict[str, Any]) -> None:
    prefixes = [*PREFIXES, LONG]
    together = complete(http, prefixes, max_tokens=12, **options)
    for number, (prefix, result) in enumerate(zip(prefixes, together, strict=True)):
        if "seed" in options:
            options = options | {"seed": 3 + number}
        assert complete(http, prefix, max_tokens=12, **options)[0]["text"] == result["text"]


def test_input_and_text_side_by_side_are_the_whole(http: httpx.Client, tiny_store: Path) -> None:
    tokenizer = open_shipped(tiny_store, "lm-en/1").tokenizer
    for prefix in ("the plot makes", "the plot makes ", "a warm an"):
        (result,) = complete(http, prefix, max_tokens=12, logprobs=0)
        spelt = "".join(token["text"] for token in result["tokens"] if not token["text"].startswith("<"))
        if prefix.endswith(" "):
            assert not result["text"].startswith(" ")
        elif "<0x" not in str(result["tokens"]):
            assert result["text"] == spelt.rstrip()
    (begun,) = complete(http, "a warm an", prefix="d funny", max_tokens=12)
    assert begun["text"].startswith(tokenizer.decode(tokenizer.encode_target("d funny"), after=[0]).rstrip())


def test_events_joined_are_the_plain_answer(http: httpx.Client) -> None:
    for prefix in PREFIXES:
        (plain,) = complete(http, prefix, max_tokens=40, next_tokens=3)
        answer = http.post("/v1/complete", json={"inputs": prefix, "max_tokens": 40, "next_tokens": 3, "stream": True})
        events = events_of(answer.text)
        assert "".join(event.data["text"] for event in events if event.name == "token") == plain["text"]
        result = next(event.data["result"] for event in events if event.name == "result")
        assert result["text"] == plain["text"]
        assert [token["text"] for token in result["next"]] == [token["text"] for token in plain["next"]]


@pytest.mark.parametrize("options", [{}, {"temperature": 2.0, "seed": 1}, {"beams": 2}], ids=str)
def test_next_tokens_are_the_most_probable_of_the_network(
    http: httpx.Client, tiny_store: Path, options: dict[str, Any]
) -> None:
    shipped = open_shipped(tiny_store, "lm-en/1")
    assert isinstance(shipped.network, EncoderDecoder)
    tokens = torch.tensor([shipped.tokenizer.encode_prefix(PREFIXES[0])])
    with torch.inference_mode():
        decoder = shipped.network.decoder
        logits = decoder.unroll(tokens, decoder.start_at_zero(tokens))[0, -1]
        logits[[PAD, BOS, UNK]] = -math.inf
        best = logits.softmax(0).topk(5)
    (result,) = complete(http, PREFIXES[0], next_tokens=5, max_tokens=1, **options)
    assert [item["text"] for item in result["next"]] == [shipped.tokenizer.piece(token) for token in best.indices]
    assert [item["probability"] for item in result["next"]] == pytest.approx(best.values.tolist(), abs=5e-3)
    assert "tokens" not in result


def test_alternatives_are_as_many_as_were_asked_for(http: httpx.Client) -> None:
    (result,) = complete(http, PREFIXES[0], next_tokens=7, logprobs=2, max_tokens=3)
    assert [len(token["alternatives"]) for token in result["tokens"]] == [2] * len(result["tokens"])
    assert len(result["next"]) == 7


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"inputs": "a", "attention": True}, 422, "contradictory-options"),
        ({"inputs": "фильм"}, 422, "unknown-language"),
        ({"inputs": "a", "model": "sentiment-en"}, 404, "model-not-found"),
        ({"inputs": "a", "next_tokens": 21}, 422, "invalid-request"),
        ({"inputs": "a b " * 3000}, 422, "input-too-long"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(http: httpx.Client, body: dict[str, Any], status: int, kind: str) -> None:
    answer = http.post("/v1/complete", json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}"), answer.text


def test_usage_counts_what_was_read(http: httpx.Client, tiny_store: Path) -> None:
    ids = open_shipped(tiny_store, "lm-en/1").tokenizer.encode_prefix(PREFIXES[0])
    usage = http.post("/v1/complete", json={"inputs": PREFIXES[0], "max_tokens": 2}).json()["usage"]
    assert usage["source_tokens"] == len(ids) - 1  # the last token is the first input of the decoder
