"""Decoding and scheduling options over HTTP, on untrained networks: their effects, not the quality of sentences."""

import base64
import math
from typing import Any

import httpx
import pytest

from app.tasks.answers.details import MAX_DETAILS
from tests.api.conftest import with_more_time
from tests.api.test_answers import png

TEXT = "save the changes"
TRANSLATE, CAPTION = "/v1/translate", "/v1/caption"


def translated(http: httpx.Client, inputs: str | list[str] = TEXT, **options: object) -> list[dict[str, Any]]:
    answer = http.post(TRANSLATE, json={"inputs": inputs, **options})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_members_that_nobody_asked_for_are_left_out(http: httpx.Client) -> None:
    (result,) = translated(http)
    assert set(result) == {"text", "score", "finish_reason", "model", "version"}


def test_n_best_are_ordered_by_score(http: httpx.Client) -> None:
    (result,) = translated(http, beams=4, n_best=3, max_tokens=10)
    scores = [hypothesis["score"] for hypothesis in result["hypotheses"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert {key: result[key] for key in ("text", "score", "finish_reason")} == result["hypotheses"][0]
    texts = {hypothesis["text"] for hypothesis in result["hypotheses"]}
    assert len(texts) > 1
    assert "seed" not in result


def test_score_of_beams_is_the_sum_over_the_length_penalty(http: httpx.Client) -> None:
    (result,) = translated(http, beams=3, n_best=2, length_penalty=1, max_tokens=8, logprobs=0)
    for hypothesis in result["hypotheses"]:
        tokens = hypothesis["tokens"]
        emitted = len(tokens)
        total = sum(token["logprob"] for token in tokens)
        ratios = [total / ((5 + length) / 6) for length in (emitted, emitted - 1)]  # with the end token or without
        assert any(math.isclose(hypothesis["score"], ratio, rel_tol=1e-4) for ratio in ratios)


def test_one_beam_is_greedy(http: httpx.Client) -> None:
    assert translated(http, beams=1) == translated(http)


def test_the_same_seed_draws_the_same(http: httpx.Client) -> None:
    options: dict[str, Any] = {"temperature": 2, "max_tokens": 12}
    (first,) = translated(http, **options)
    assert 0 <= first["seed"] < 2**63
    (again,) = translated(http, **options, seed=first["seed"])
    assert (again["text"], again["seed"]) == (first["text"], first["seed"])
    others = {translated(http, **options)[0]["text"] for _ in range(4)}
    assert len(others | {first["text"]}) > 1


def test_equal_inputs_are_drawn_anew_and_each_can_be_drawn_again(http: httpx.Client) -> None:
    results = translated(http, [TEXT] * 4, temperature=2, seed=5, max_tokens=12)
    assert [result["seed"] for result in results] == [5, 6, 7, 8]
    assert len({result["text"] for result in results}) > 1
    (third,) = translated(http, temperature=2, seed=7, max_tokens=12)
    assert third["text"] == results[2]["text"]


def test_seeds_wrap_around(http: httpx.Client) -> None:
    results = translated(http, [TEXT] * 2, temperature=1, seed=2**63 - 1, max_tokens=3)
    assert [result["seed"] for result in results] == [2**63 - 1, 0]


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1}])
def test_drawing_from_the_best_alone_is_greedy(http: httpx.Client, narrow: dict[str, Any]) -> None:
    (greedy,) = translated(http, max_tokens=10)
    (drawn,) = translated(http, max_tokens=10, temperature=1, **narrow)
    assert drawn["text"] == greedy["text"]


def test_min_tokens_keep_a_sentence_going(http: httpx.Client) -> None:
    options: dict[str, Any] = {"temperature": 2, "seed": 1, "max_tokens": 300}
    short = translated(http, [TEXT] * 12, **options)
    assert any(result["finish_reason"] == "stop" for result in short)
    long = translated(http, [TEXT] * 12, **options, min_tokens=300, logprobs=0)
    assert {len(result["tokens"]) for result in long} == {300}


def test_no_three_tokens_are_repeated(http: httpx.Client) -> None:
    (result,) = translated(http, max_tokens=60, min_tokens=60, no_repeat_ngram_size=3, logprobs=0)
    tokens = [token["text"] for token in result["tokens"]]
    triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    known = [triple for triple in triples if "" not in triple]  # ids without a spelling in the tokenizer
    assert known
    assert len(known) == len(set(known))


def test_repetition_penalty_makes_tokens_more_diverse(http: httpx.Client) -> None:
    def distinct(penalty: float) -> int:
        (result,) = translated(http, max_tokens=60, min_tokens=60, repetition_penalty=penalty, logprobs=0)
        return len({token["text"] for token in result["tokens"]})

    assert distinct(5) > distinct(1)


@pytest.mark.parametrize("beams", [1, 3])
def test_sentence_begins_with_the_prefix(http: httpx.Client, beams: int) -> None:
    (result,) = translated(http, prefix="파일을 닫기", beams=beams, max_tokens=30)
    assert result["text"].startswith("파일을 닫기")


def test_blank_prefix_is_none(http: httpx.Client) -> None:
    assert translated(http, prefix=" ") == translated(http)


def test_sentence_ends_before_the_first_stop_string(http: httpx.Client) -> None:
    options: dict[str, Any] = {"max_tokens": 40, "min_tokens": 40, "temperature": 1.5, "seed": 4}
    (whole,) = translated(http, **options)
    text = whole["text"]
    stop = next(letter for place, letter in enumerate(text) if place > 8 and letter not in text[:place] + " ")
    (cut,) = translated(http, **options, stop=stop, logprobs=0)
    assert cut["text"] == text[: text.index(stop)].rstrip()
    assert cut["finish_reason"] == "stop"
    assert 0 < len(cut["tokens"]) < 40
    mean = sum(token["logprob"] for token in cut["tokens"]) / len(cut["tokens"])
    assert math.isclose(cut["score"], mean, rel_tol=1e-5)


def test_every_hypothesis_ends_before_the_stop_string(http: httpx.Client) -> None:
    (whole,) = translated(http, max_tokens=20, min_tokens=20, beams=3, n_best=3)
    stop = whole["hypotheses"][0]["text"][-2:]
    (cut,) = translated(http, max_tokens=20, min_tokens=20, beams=3, n_best=3, stop=[stop, "never emitted"])
    for before, after in zip(whole["hypotheses"], cut["hypotheses"], strict=True):
        assert after["text"] == before["text"].split(stop)[0].rstrip()


def test_a_stop_string_that_does_not_come_changes_nothing(http: httpx.Client) -> None:
    assert translated(http, stop=["never emitted"]) == translated(http)


def test_logprobs_tell_tokens_and_alternatives(http: httpx.Client) -> None:
    (result,) = translated(http, logprobs=3)
    tokens = result["tokens"]
    assert math.isclose(result["score"], sum(token["logprob"] for token in tokens) / len(tokens), rel_tol=1e-5)
    for token in tokens:
        values = [other["logprob"] for other in token["alternatives"]]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
    if result["finish_reason"] == "stop":
        assert tokens[-1]["text"] == "<eos>"


def test_logprobs_of_zero_tell_no_alternatives(http: httpx.Client) -> None:
    (result,) = translated(http, logprobs=0)
    assert {len(token["alternatives"]) for token in result["tokens"]} == {0}


def test_attention_aligns_words(http: httpx.Client) -> None:
    text = "save the  changes"
    (result,) = translated(http, text, attention=True, max_tokens=6, logprobs=0)
    attention = result["attention"]
    assert "".join(text[token["start"] : token["end"]] for token in attention["source"]) == text
    assert attention["target"] == [token["text"] for token in result["tokens"]]
    assert len(attention["weights"]) == len(attention["target"])
    for row in attention["weights"]:
        assert len(row) == len(attention["source"])
        assert math.isclose(sum(row), 1, abs_tol=1e-3)


def test_attention_of_a_caption_is_a_grid(http: httpx.Client) -> None:
    body = {"inputs": base64.b64encode(png()).decode(), "attention": True, "max_tokens": 3}
    (result,) = http.post(CAPTION, json=body).json()["results"]
    attention = result["attention"]
    assert attention["rows"] == attention["columns"] == 2
    assert len(attention["weights"]) == len(attention["target"])
    for grid in attention["weights"]:
        assert [len(row) for row in grid] == [2, 2]
        assert math.isclose(sum(map(sum, grid)), 1, abs_tol=1e-3)


@pytest.mark.parametrize(
    "details", [{"attention": True}, {"logprobs": 20}, {"attention": True, "beams": 4, "n_best": 4}], ids=str
)
def test_a_request_has_a_limit_of_details(http: httpx.Client, details: dict[str, Any]) -> None:
    body = {"inputs": ["save the changes before closing the file"] * 50, "max_tokens": 4000, **details}
    problem = http.post(TRANSLATE, json=body).json()
    assert (problem["status"], problem["type"], problem["limit"]) == (422, "/problems/input-too-long", MAX_DETAILS)
    assert "set max_tokens, n_best or logprobs to a smaller number" in problem["detail"]
    assert len(translated(http, body["inputs"], max_tokens=4, **details)) == 50


def test_options_in_a_form_and_in_a_query(http: httpx.Client) -> None:
    image = png()
    options: dict[str, Any] = {"temperature": "1.5", "seed": "3", "top_p": "0.9", "logprobs": "1", "attention": "true"}
    form = http.post(
        CAPTION,
        files=[("images", ("a.png", image, "image/png"))],
        data={**options, "stop": ["zzz", "yyy"], "beams": "", "prefix": "a"},
    )
    query = http.post(
        CAPTION,
        params={**options, "stop": ["zzz", "yyy"], "prefix": "a"},
        content=image,
        headers={"Content-Type": "image/png"},
    )
    typed = {"temperature": 1.5, "seed": 3, "top_p": 0.9, "logprobs": 1, "attention": True, "prefix": "a"}
    inputs = base64.b64encode(image).decode()
    as_json = http.post(CAPTION, json={"inputs": inputs, **typed, "stop": ["zzz", "yyy"]})
    assert form.status_code == 200, form.text
    assert form.json() == query.json() == as_json.json()
    assert form.json()["results"][0]["text"].startswith("a")


def test_query_counts_whatever_the_body_is(http: httpx.Client) -> None:
    inputs = base64.b64encode(png()).decode()
    whole = http.post(CAPTION, json={"inputs": inputs, "beams": 3, "n_best": 2, "max_tokens": 7}).json()
    beside = http.post(CAPTION, params={"beams": 3, "n_best": 2}, json={"inputs": inputs, "max_tokens": 7})
    form = http.post(
        CAPTION, params={"n_best": 2, "max_tokens": 7}, files={"images": ("a.png", png())}, data={"beams": "3"}
    )
    assert whole == beside.json() == form.json()
    assert len(whole["results"][0]["hypotheses"]) == 2


def test_option_in_the_body_and_in_the_query_is_refused(http: httpx.Client) -> None:
    answer = http.post(CAPTION, params={"beams": 3}, files={"images": ("a.png", png())}, data={"beams": "3"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/contradictory-options")
    assert answer.json()["options"] == ["beams"]
    unknown = http.post(CAPTION, params={"beam": 3}, files={"images": ("a.png", png())})
    assert unknown.json()["type"] == "/problems/invalid-request"


def test_header_is_checked_beside_a_member(http: httpx.Client) -> None:
    body = {"inputs": "a good film", "timeout_ms": 5000}
    answer = http.post("/v1/sentiment", json=body, headers={"X-Timeout-Ms": "soon"})
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "X-Timeout-Ms")


CONTRADICTIONS: list[tuple[dict[str, object], list[str], str]] = [
    ({"temperature": 1, "beams": 2}, ["temperature", "beams"], "set beams to 1"),
    ({"n_best": 3}, ["n_best", "beams"], "set beams to at least 3"),
    ({"n_best": 3, "beams": 2}, ["n_best", "beams"], "set beams to at least 3"),
    ({"n_best": 2, "temperature": 1}, ["n_best", "beams"], "set beams to at least 2"),
    ({"length_penalty": 1}, ["length_penalty", "beams"], "set beams above 1"),
    ({"min_tokens": 9, "max_tokens": 8}, ["min_tokens", "max_tokens"], "set max_tokens to at least 9"),
    ({"min_tokens": 25}, ["min_tokens", "max_tokens"], "max_tokens is 24"),
    ({"stream": True, "beams": 2}, ["stream", "beams"], "stream to false"),
    ({"top_k": 5}, ["top_k"], "set temperature"),
    ({"top_p": 0.5, "min_p": 0.1, "seed": 1}, ["top_p", "min_p", "seed"], "leave out top_p, min_p, seed"),
    ({"prefix": "파일을 닫기 전에", "max_tokens": 2}, ["prefix", "max_tokens"], "shorten it"),
    ({"prefix": "파일을 닫기", "stop": "닫"}, ["prefix", "stop"], "leave one of them out"),
]


@pytest.mark.parametrize(("options", "named", "advice"), CONTRADICTIONS, ids=lambda value: str(value)[:40])
def test_contradictory_options_say_what_to_change(
    http: httpx.Client, options: dict[str, object], named: list[str], advice: str
) -> None:
    answer = http.post(TRANSLATE, json={"inputs": TEXT, **options})
    assert answer.status_code == 422
    body = answer.json()
    assert (body["type"], body["options"]) == ("/problems/contradictory-options", named)
    assert advice in body["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"beams": 0},
        {"beams": 17},
        {"n_best": 0},
        {"temperature": -1},
        {"temperature": "1"},
        {"top_p": 0},
        {"top_p": 1.1},
        {"min_p": 2},
        {"seed": -1},
        {"seed": 2**63},
        {"repetition_penalty": 0},
        {"no_repeat_ngram_size": -1},
        {"stop": []},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"stop": ""},
        {"logprobs": 21},
        {"attention": 1},
        {"stream": "yes"},
        {"priority": 11},
        {"priority": -11},
        {"timeout_ms": 0},
        {"prefix": 5},
    ],
    ids=str,
)
def test_values_out_of_range_are_named(http: httpx.Client, wrong: dict[str, object]) -> None:
    answer = http.post(TRANSLATE, json={"inputs": TEXT, **wrong})
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-request"
    assert answer.json()["errors"][0]["where"].startswith(next(iter(wrong)))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("option", ["temperature", "top_p", "length_penalty", "repetition_penalty"])
def test_numbers_have_to_be_finite(http: httpx.Client, option: str, value: str) -> None:
    content = f'{{"inputs": "a", "{option}": {value}}}'
    answer = http.post(TRANSLATE, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_sentence_out_of_time_is_answered_as_far_as_it_came(http: httpx.Client, endless: str) -> None:
    body = {"inputs": endless, "max_tokens": 4000}
    answer = with_more_time(lambda ms: http.post(TRANSLATE, json={**body, "timeout_ms": ms}))
    (result,) = answer.json()["results"]
    assert result["finish_reason"] == "deadline"
    assert 0 < answer.json()["usage"]["emitted_tokens"] < 4000


def test_timeout_in_a_header_and_body_wins(http: httpx.Client, endless: str) -> None:
    soon = {"X-Timeout-Ms": "100"}
    body = {"inputs": endless, "max_tokens": 4000}
    answer = with_more_time(lambda ms: http.post(TRANSLATE, json=body, headers={"X-Timeout-Ms": str(ms)}))
    assert answer.json()["results"][0]["finish_reason"] == "deadline"
    (result,) = http.post(TRANSLATE, json=body | {"max_tokens": 50, "timeout_ms": 50_000}, headers=soon).json()[
        "results"
    ]
    assert result["finish_reason"] == "length"


@pytest.mark.parametrize("value", ["0", "-5", "x", "1.5", "", "9" * 11])
def test_senseless_timeout_header_is_refused(http: httpx.Client, value: str) -> None:
    answer = http.post("/v1/sentiment", json={"inputs": "a"}, headers={"X-Timeout-Ms": value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "X-Timeout-Ms"


@pytest.mark.parametrize("path", ["/v1/sentiment", TRANSLATE])
def test_what_was_never_run_has_timed_out(http: httpx.Client, path: str, endless: str) -> None:
    """More inputs than the engine can start in a millisecond: some are never run."""
    statuses = set()
    for _ in range(20):
        answer = http.post(path, json={"inputs": ["save the file"] * 64, "timeout_ms": 1})
        statuses.add(answer.status_code)
        if answer.status_code == 504:
            assert answer.json()["type"] == "/problems/timed-out"
            break
    assert 504 in statuses


@pytest.mark.parametrize("path", ["/v1/sentiment", TRANSLATE])
@pytest.mark.parametrize("priority", [-10, 10])
def test_any_priority_is_answered(http: httpx.Client, path: str, priority: int) -> None:
    answer = http.post(path, json={"inputs": TEXT, "priority": priority, "timeout_ms": 20_000})
    assert answer.status_code == 200
