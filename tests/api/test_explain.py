"""`explain` over HTTP: offsets point into the text, and rows equal the results of its prefixes."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.tasks.answers.label_kind import MOST_EXPLAINED
from app.tasks.answers.limits import AnswerLimits

MOST_NUMBERS = AnswerLimits().numbers
TEXT = "a warm and funny film 쀼 that i would gladly see again"


def explained(http: httpx.Client, text: str, **options: Any) -> dict[str, Any]:
    answer = http.post("/v1/sentiment", json={"inputs": text, "explain": True, **options})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    assert result["explanation"]["labels"] == ["negative", "positive"]
    answered: dict[str, Any] = result
    return answered


@pytest.mark.parametrize(
    ("model", "method"), [("sentiment-en", "each prefix read anew"), ("sentiment-en-uni", "one pass")]
)
def test_rows_are_the_answers_to_the_beginnings(http: httpx.Client, model: str, method: str) -> None:
    result = explained(http, TEXT, model=model)
    explanation = result["explanation"]
    assert explanation["method"] == method
    assert len(explanation["tokens"]) == len(explanation["probabilities"])
    assert explanation["probabilities"][-1] == [result["scores"]["negative"], result["scores"]["positive"]]
    plain = http.post("/v1/sentiment", json={"inputs": TEXT, "model": model}).json()["results"][0]
    assert result["scores"] == pytest.approx(plain["scores"], abs=2e-2)  # the result without explanation has 16 bits
    checked = 0
    for place, token in enumerate(explanation["tokens"]):
        following = explanation["tokens"][place + 1 : place + 2]
        if following and not following[0]["text"].startswith(" "):
            continue  # the prefix alone has other tokens
        alone = explained(http, TEXT[: token["end"]], model=model)
        assert alone["explanation"]["probabilities"][-1] == pytest.approx(explanation["probabilities"][place], abs=1e-5)
        checked += 1
    assert checked > 5


def test_offsets_lead_back_to_the_text(http: httpx.Client) -> None:
    tokens = explained(http, TEXT)["explanation"]["tokens"]
    assert [token["start"] for token in tokens] == sorted(token["start"] for token in tokens)
    for token in tokens:
        if not token["text"].startswith("<0x"):
            assert TEXT[token["start"] : token["end"]].strip() == token["text"].strip()
    assert tokens[-1]["end"] == len(TEXT)


def test_activations_of_a_layer(http: httpx.Client) -> None:
    explanation = explained(http, TEXT, layer=0)["explanation"]
    activations = explanation["activations"]
    assert (activations["layer"], activations["network"]) == (0, "bidirectional LSTM-10")
    assert [one["direction"] for one in activations["directions"]] == ["forward", "backward"]
    for one in activations["directions"]:
        assert list(one["gates"]) == ["input", "forget", "candidate", "output"]
        for rows in (one["hidden"], one["cell"], *one["gates"].values()):
            assert (len(rows), {len(row) for row in rows}) == (len(explanation["tokens"]), {10})
        assert all(0 <= value <= 1 for row in one["gates"]["forget"] for value in row)


def test_the_units_that_change_most(http: httpx.Client) -> None:
    whole = explained(http, TEXT, layer=0)["explanation"]["activations"]["directions"]
    few = explained(http, TEXT, layer=0, units=3)["explanation"]["activations"]["directions"]
    assert "units" not in whole[0]
    for every, chosen in zip(whole, few, strict=True):
        assert len(set(chosen["units"])) == 3
        assert chosen["hidden"] == [[row[unit] for unit in chosen["units"]] for row in every["hidden"]]
        assert chosen["cell"] == [[row[unit] for unit in chosen["units"]] for row in every["cell"]]
        for name, rows in every["gates"].items():
            assert chosen["gates"][name] == [[row[unit] for unit in chosen["units"]] for row in rows]


def test_more_units_than_there_are_return_all(http: httpx.Client) -> None:
    for one in explained(http, TEXT, layer=0, units=5000)["explanation"]["activations"]["directions"]:
        assert sorted(one["units"]) == [*range(10)]


def test_a_request_has_a_limit_of_numbers(http: httpx.Client) -> None:
    """A row has 10 units in six arrays, two probabilities, and a token that counts as three."""
    text = "- " * 500
    body = {"model": "sentiment-en-uni", "explain": True}
    tokens = http.post("/v1/sentiment", json={"inputs": text, **body}).json()["usage"]["source_tokens"]
    most = MOST_NUMBERS // (65 * tokens)
    answer = http.post("/v1/sentiment", json={"inputs": [text] * most, **body, "layer": 0})
    assert answer.status_code == 200
    numbers = 65 * tokens * (most + 1)
    answer = http.post("/v1/sentiment", json={"inputs": [text] * (most + 1), **body, "layer": 0})
    problem = answer.json()
    assert (answer.status_code, problem["type"], problem["limit"]) == (422, "/problems/input-too-long", MOST_NUMBERS)
    assert (
        f"{numbers} numbers; the limit is {MOST_NUMBERS}: send fewer or shorter inputs, or set units"
        in problem["detail"]
    )
    answer = http.post("/v1/sentiment", json={"inputs": [text] * (most + 1), **body, "layer": 0, "units": 2})
    assert answer.status_code == 200


def test_others_are_answered_while_a_long_text_is_explained(http: httpx.Client) -> None:
    """The answers of another client come between the pieces of an explanation."""
    long = {"inputs": ["- " * 500] * 6, "model": "sentiment-en-uni", "explain": True, "layer": 0}
    with ThreadPoolExecutor(1) as pool:
        explanation = pool.submit(http.post, "/v1/sentiment", json=long)
        time.sleep(0.1)
        short = 0
        while not explanation.done():
            assert http.post("/v1/sentiment", json={"inputs": TEXT, "model": "sentiment-en-uni"}).status_code == 200
            short += 1
        assert explanation.result().status_code == 200
        assert short > 2  # one would wait for the whole explanation, and the next be sent as it ends


def test_nothing_is_told_that_nobody_asked_for(http: httpx.Client) -> None:
    assert "explanation" not in http.post("/v1/sentiment", json={"inputs": TEXT}).json()["results"][0]
    assert "activations" not in explained(http, TEXT)["explanation"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"inputs": TEXT, "layer": 0}, "invalid-request"),
        ({"inputs": TEXT, "explain": True, "units": 5}, "invalid-request"),
        ({"inputs": TEXT, "explain": True, "layer": 0, "units": 0}, "invalid-request"),
        ({"inputs": TEXT, "explain": True, "layer": 1}, "contradictory-options"),
        ({"inputs": "a film " * 70, "explain": True}, "input-too-long"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(http: httpx.Client, body: dict[str, Any], kind: str) -> None:
    answer = http.post("/v1/sentiment", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{kind}"), answer.text


def test_the_longest_text_that_is_explained(http: httpx.Client) -> None:
    result = explained(http, "- " * (MOST_EXPLAINED // 2 - 1), model="sentiment-en-uni")
    assert MOST_EXPLAINED - 2 <= len(result["explanation"]["probabilities"]) <= MOST_EXPLAINED
