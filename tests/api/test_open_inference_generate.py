"""Triton's generate extension returns the results of the native interface."""

import json
from typing import Any

import httpx
import pytest

from tests.service.serving import until

PROMPT = "the plot makes"
SENTENCE = "do you want to save the changes"


def native(http: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["results"][0]
    return result


def generate(http: httpx.Client, model: str = "lm-en", **body: Any) -> dict[str, Any]:
    answer = http.post(f"/v2/models/{model}/generate", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def events(http: httpx.Client, model: str = "lm-en", **body: Any) -> list[dict[str, Any]]:
    """The events of a stream: every line with text is one event in JSON."""
    with http.stream("POST", f"/v2/models/{model}/generate_stream", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: {") for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_generate_is_the_native_answer(http: httpx.Client) -> None:
    expected = native(http, "/v1/complete", inputs=PROMPT, model="lm-en", max_tokens=9)
    told = generate(http, text_input=PROMPT, parameters={"max_tokens": 9}, id="a")
    assert told == {
        "id": "a",
        "model_name": "lm-en",
        "model_version": "1",
        "text_output": expected["text"],
        "score": expected["score"],
        "finish_reason": expected["finish_reason"],
    }
    assert generate(http, text_input=PROMPT, max_tokens=9, id="a") == told
    assert generate(http, "lm-en/versions/1", text_input=PROMPT, max_tokens=9, id="a", stream=False) == told


def test_what_is_done_anyway_may_be_asked_for(http: httpx.Client) -> None:
    """The output leaves out the input, as clients of Triton's language models request."""
    plain = generate(http, text_input=PROMPT, max_tokens=5)
    assert generate(http, text_input=PROMPT, max_tokens=5, exclude_input_in_output=True) == plain
    options = {"max_tokens": 5, "exclude_input_in_output": True}
    assert generate(http, text_input=PROMPT, parameters=options) == plain
    streamed = events(http, text_input=PROMPT, parameters=options)
    assert "".join(event["text_output"] for event in streamed) == plain["text_output"]


def test_translators_generate_too(http: httpx.Client) -> None:
    expected = native(http, "/v1/translate", inputs=SENTENCE, beams=4)
    assert generate(http, "translate-en-ko", text_input=SENTENCE, beams=4)["text_output"] == expected["text"]


@pytest.mark.parametrize("options", [{}, {"temperature": 1.3, "seed": 7}, {"stop": ["a", "e"]}], ids=str)
def test_texts_of_a_stream_are_the_whole(http: httpx.Client, options: dict[str, Any]) -> None:
    expected = native(http, "/v1/complete", inputs=PROMPT, model="lm-en", max_tokens=30, **options)
    *begun, last = events(http, text_input=PROMPT, max_tokens=30, parameters=options, id="7")
    assert "".join(event["text_output"] for event in begun) == expected["text"]
    assert last["text_output"] == ""
    assert last["finish_reason"] == expected["finish_reason"]
    assert last["score"] == pytest.approx(expected["score"], abs=1e-5)
    for event in begun:
        assert set(event) == {"id", "model_name", "model_version", "text_output"}
    assert {(event["id"], event["model_name"], event["model_version"]) for event in begun} <= {("7", "lm-en", "1")}


def test_stream_comes_piece_by_piece(http: httpx.Client) -> None:
    told = events(http, "lm-en/versions/1", text_input=PROMPT, max_tokens=60, stream=True)
    assert len(told) > 5


@pytest.mark.parametrize(
    ("model", "change", "status", "words"),
    [
        ("lm-en", {"text_input": None}, 422, "text_input: Input should be a valid string"),
        ("lm-en", {"text_input": [PROMPT]}, 422, "text_input: Input should be a valid string"),
        ("lm-en", {"bad_words": ["x"]}, 422, "parameters.bad_words: is unknown here"),
        ("lm-en", {"parameters": {"top": 1}}, 422, "parameters.top: is unknown here"),
        ("lm-en", {"max_tokens": 5, "parameters": {"max_tokens": 5}}, 422, "max_tokens: given in parameters and "),
        ("lm-en", {"split_sentences": True}, 422, "parameters.split_sentences: is unknown here"),
        ("lm-en", {"text_input": "the film " * 3000}, 422, "split the text, or set truncate to true"),
        ("lm-en", {"max_tokens": "5"}, 422, "parameters.max_tokens: Input should be a valid integer"),
        ("lm-en", {"logprobs": 1}, 422, "logprobs is not supported here"),
        ("lm-en", {"exclude_input_in_output": False}, 422, "exclude_input_in_output: is not supported: the output"),
        ("lm-en", {"exclude_input_in_output": 1}, 422, "exclude_input_in_output: is not supported"),
        ("lm-en", {"seed": 1}, 422, "nothing is drawn at temperature 0"),
        ("lm-en", {"max_tokens": 9000}, 422, "the limit of lm-en is 4000"),
        ("translate-en-ko", {"text_input": " "}, 422, "inputs[0] is empty"),
        ("sentiment-en", {}, 422, "sentiment-en does not map text to text; use sentiment-en/infer"),
        ("caption-en", {}, 422, "caption-en does not map text to text"),
        ("nobody", {}, 404, "there is no model nobody"),
        ("lm-en/versions/3", {}, 404, "has no version 3; it has 1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
def test_what_is_wrong_is_told(
    http: httpx.Client, verb: str, model: str, change: dict[str, Any], status: int, words: str
) -> None:
    answer = http.post(f"/v2/models/{model}/{verb}", json={"text_input": PROMPT} | change)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert words in problem["error"] == problem["detail"]
    assert problem["type"].startswith("/problems/")


def test_stream_has_to_fit_the_path(http: httpx.Client) -> None:
    for verb, stream in (("generate", True), ("generate_stream", False)):
        answer = http.post(f"/v2/models/lm-en/{verb}", json={"text_input": PROMPT, "parameters": {"stream": stream}})
        assert answer.status_code == 422
        assert "at this path; leave it out" in answer.json()["error"]


def test_a_stream_that_runs_out_of_time_ends_as_far_as_it_came(http: httpx.Client, endless: str) -> None:
    for microseconds in (100_000, 400_000, 1_600_000, 6_400_000):  # until one token comes in time
        told = events(http, "translate-en-ko", text_input=endless, max_tokens=4000, timeout=microseconds)
        if "finish_reason" in told[-1]:
            break
    assert told[-1]["finish_reason"] == "deadline"


def test_what_fails_in_a_stream_is_its_last_event(http: httpx.Client) -> None:
    """With so short a deadline some inputs are never run; requests that are late before they begin are refused."""
    body = {"text_input": PROMPT, "max_tokens": 500, "timeout": 1}
    answered: list[str] = []

    def failed() -> bool:
        answer = http.post("/v2/models/lm-en/generate_stream", json=body)
        answered.append(answer.text)
        return answer.status_code == 200 and '"error"' in answer.text

    until(failed)
    (event,) = answered[-1].strip().split("\n\n")
    assert set(json.loads(event.removeprefix("data: "))) == {"error"}
    assert " time" in event


def test_streams_are_counted_by_their_route(http: httpx.Client) -> None:
    events(http, text_input=PROMPT, max_tokens=3)
    assert 'route="/v2/models/{model}/generate_stream",status="200"' in http.get("/metrics").text
