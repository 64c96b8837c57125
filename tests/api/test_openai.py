"""OpenAI's own client gets the results of the native interface."""

import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types import Completion, CompletionChoice, Model

PROMPT = "the plot makes"
MODEL = "lm-en"


@pytest.fixture
def client(server: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server}/v1", api_key="x", max_retries=0) as client:
        yield client


def native(http: httpx.Client, inputs: str | list[str] = PROMPT, **options: Any) -> list[dict[str, Any]]:
    answer = http.post("/v1/complete", json={"inputs": inputs, "model": MODEL, **options})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def joined(chunks: list[Completion], place: int) -> str:
    return "".join(choice.text for chunk in chunks for choice in chunk.choices if choice.index == place)


@pytest.mark.parametrize("prompt", [PROMPT, "", "a warm and funny film that i would glad", "x "])
def test_choice_is_the_native_answer(client: OpenAI, http: httpx.Client, prompt: str) -> None:
    (expected,) = native(http, prompt, max_tokens=16)
    answer = client.completions.create(model=MODEL, prompt=prompt, temperature=0)
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason, choice.index) == (expected["text"], expected["finish_reason"], 0)
    assert (answer.object, answer.model, answer.system_fingerprint) == ("text_completion", MODEL, "lm-en/1")
    assert answer.id.startswith("cmpl-")
    assert choice.logprobs is None


def test_drawn_choices_are_those_of_the_native_seeds(client: OpenAI, http: httpx.Client) -> None:
    prompts = [PROMPT, "a warm an"]
    answer = client.completions.create(model=MODEL, prompt=prompts, n=2, seed=7, top_p=0.9, max_tokens=12)
    inputs = [PROMPT, PROMPT, *["a warm an"] * 2]
    expected = native(http, inputs, temperature=1.0, seed=7, top_p=0.9, max_tokens=12)
    assert [choice.text for choice in answer.choices] == [result["text"] for result in expected]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.choices[0].text != answer.choices[1].text


def test_temperature_is_one_when_left_out(client: OpenAI, http: httpx.Client) -> None:
    answer = client.completions.create(model=MODEL, prompt=PROMPT, seed=3)
    (drawn,) = native(http, temperature=1.0, seed=3, max_tokens=16)
    assert answer.choices[0].text == drawn["text"] != native(http, max_tokens=16)[0]["text"]


def test_what_draws_makes_no_difference_where_nothing_is_drawn(client: OpenAI, http: httpx.Client) -> None:
    answer = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, seed=-5, top_p=0.5)
    assert answer.choices[0].text == native(http, max_tokens=16)[0]["text"]


def test_version_can_be_named(client: OpenAI) -> None:
    answer = client.completions.create(model="lm-en/1", prompt=PROMPT, max_tokens=2)
    assert (answer.model, answer.system_fingerprint) == ("lm-en/1", "lm-en/1")
    for missing in ("lm-en/9", "lm-en/x", "sentiment-en"):
        with pytest.raises(openai.NotFoundError, match=r"no version 9|no completion model") as error:
            client.completions.create(model=missing, prompt=PROMPT)
        assert error.value.code == "model_not_found"


def test_usage_counts_each_prompt_once_and_every_choice(client: OpenAI, http: httpx.Client) -> None:
    one = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, max_tokens=5).usage
    three = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, max_tokens=5, n=3).usage
    usage = http.post("/v1/complete", json={"inputs": PROMPT, "model": MODEL, "max_tokens": 5}).json()["usage"]
    assert one is not None
    assert three is not None
    assert one.prompt_tokens == three.prompt_tokens == usage["source_tokens"] + 1  # and the first input of the decoder
    assert three.completion_tokens == 3 * one.completion_tokens == 3 * usage["emitted_tokens"]
    assert one.total_tokens == one.prompt_tokens + one.completion_tokens


def test_stop_strings_end_a_choice(client: OpenAI, http: httpx.Client) -> None:
    whole = native(http, max_tokens=40)[0]["text"]
    stop = whole[8:10]
    for given in (stop, [stop, "never there"]):
        answer = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, max_tokens=40, stop=given)
        assert answer.choices[0].text == whole[: whole.index(stop)].rstrip()
        assert answer.choices[0].finish_reason == "stop"
    unstopped = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, max_tokens=40, stop=[])
    assert unstopped.choices[0].text == whole


def test_echo_puts_the_prompt_before_its_choices(client: OpenAI, http: httpx.Client) -> None:
    expected = PROMPT + native(http, max_tokens=8)[0]["text"]
    options: Any = {"model": MODEL, "prompt": PROMPT, "temperature": 0, "max_tokens": 8, "echo": True}
    assert client.completions.create(**options).choices[0].text == expected
    assert joined(list(client.completions.create(**options, stream=True)), 0) == expected


def logprobs_of(choices: list[CompletionChoice]) -> tuple[list[str], list[float], list[dict[str, float]], list[int]]:
    """The log-probabilities of a choice, whole or in chunks."""
    tokens: list[str] = []
    values: list[float] = []
    tops: list[dict[str, float]] = []
    offsets: list[int] = []
    for choice in choices:
        if choice.logprobs:
            tokens += choice.logprobs.tokens or []
            values += choice.logprobs.token_logprobs or []
            tops += choice.logprobs.top_logprobs or []
            offsets += choice.logprobs.text_offset or []
    return tokens, values, tops, offsets


@pytest.mark.parametrize("prompt", [PROMPT, "x ", "", "파일을"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_logprobs_are_the_native_ones_with_places(
    client: OpenAI, http: httpx.Client, prompt: str, is_streamed: bool
) -> None:
    (expected,) = native(http, prompt, max_tokens=24, logprobs=3)
    options: Any = {"model": MODEL, "prompt": prompt, "temperature": 0, "max_tokens": 24, "logprobs": 3}
    if is_streamed:
        choices = [item for chunk in client.completions.create(**options, stream=True) for item in chunk.choices]
    else:
        choices = client.completions.create(**options).choices
    tokens, values, tops, offsets = logprobs_of(choices)
    assert tokens == [token["text"] for token in expected["tokens"]]
    assert values == pytest.approx([token["logprob"] for token in expected["tokens"]], abs=1e-5)
    for top, token in zip(tops, expected["tokens"], strict=True):
        told = {item["text"]: item["logprob"] for item in [*token["alternatives"], token]}
        assert top == pytest.approx(told, abs=1e-5)
    whole = prompt + expected["text"]
    assert offsets == sorted(offsets)
    assert offsets[0] == len(prompt)
    bounds = [*offsets, len(whole)]
    for number, token in enumerate(tokens):
        if number and not token.startswith("<"):  # neither a byte nor the end token
            assert whole[bounds[number] :].startswith(token[: len(whole) - bounds[number]]), (number, token, whole)
    assert sum(not token.startswith("<") for token in tokens) > 2


def test_logprobs_zero_tells_the_tokens_alone(client: OpenAI) -> None:
    choice = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, logprobs=0, max_tokens=3).choices[0]
    tokens, values, tops, _ = logprobs_of([choice])
    assert tops == [{token: value} for token, value in zip(tokens, values, strict=True)]
    assert all(value < 0 and math.isfinite(value) for value in values)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"seed": 5}, {"temperature": 0, "stop": ["a"]}], ids=str)
def test_chunks_joined_are_the_whole(client: OpenAI, options: dict[str, Any]) -> None:
    options = {"model": MODEL, "prompt": [PROMPT, "x"], "n": 2, "max_tokens": 30, **options}
    whole = client.completions.create(**options)
    chunks: list[Completion] = list(client.completions.create(**options, stream=True))
    for choice in whole.choices:
        mine = [item for chunk in chunks for item in chunk.choices if item.index == choice.index]
        assert "".join(item.text for item in mine) == choice.text
        assert [item.finish_reason for item in mine] == [None] * (len(mine) - 1) + [choice.finish_reason]
        assert len(mine) > 1 or not choice.text
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_ends_a_stream_that_asks_for_it(client: OpenAI) -> None:
    options: Any = {"model": MODEL, "prompt": PROMPT, "temperature": 0, "n": 2}
    chunks = list(client.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage == client.completions.create(**options).usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_is_events_and_ends_with_done(http: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": PROMPT, "stream": True, "temperature": 0}
    answer = http.post("/v1/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in answer.text.removesuffix("\n\n").split("\n\n") if not block.startswith(":")]
    assert all(block.startswith("data: {") and "\n" not in block for block in blocks[:-1])
    assert blocks[-1] == "data: [DONE]"
    assert '"usage"' not in answer.text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1.0}, "presence_penalty"),
        ({"logit_bias": {"5": 3}}, "logit_bias"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 6}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 2.5}, "temperature"),
        ({"n": 0}, "n"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "include_obfuscation"),
        ({"extra_body": {"top_k": 5}}, "top_k"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_by_name(client: OpenAI, options: dict[str, Any], named: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match=rf"\b{named}\b") as error:
        client.completions.create(**{"model": MODEL, "prompt": PROMPT, **options})
    assert (error.value.type, error.value.code) == ("invalid_request_error", "invalid_request")


def test_a_long_prompt_is_cut_on_request(client: OpenAI, http: httpx.Client) -> None:
    prompt = "the plot of the film " * 1000 + PROMPT
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 9}
    with pytest.raises(openai.UnprocessableEntityError, match="split the text, or set truncate to true"):
        client.completions.create(model=MODEL, prompt=prompt, **options)
    answer = client.completions.create(model=MODEL, prompt=prompt, **options, extra_body={"truncate": True})
    assert answer.choices[0].text == native(http, prompt, max_tokens=9, truncate=True)[0]["text"]


def test_options_that_change_nothing_are_taken(client: OpenAI, http: httpx.Client) -> None:
    neutral: Any = {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "suffix": "", "best_of": 1}
    unset: Any = {"n": None, "stop": None, "logprobs": None, "seed": None, "stream": False, "echo": False, "top_p": 1}
    options = {**neutral, **unset, "user": "somebody"}
    answer = client.completions.create(model=MODEL, prompt=PROMPT, temperature=0, max_tokens=16, **options)
    assert answer.choices[0].text == native(http, max_tokens=16)[0]["text"]


@pytest.mark.parametrize(
    ("content", "status", "kind", "code", "param"),
    [
        ('{"model": "lm-en", "prompt": "a", "suffix": "b"}', 422, "invalid_request_error", "invalid_request", "suffix"),
        ("{", 400, "invalid_request_error", "unreadable_body", None),
        ('{"model": "none"}', 404, "invalid_request_error", "model_not_found", None),
        (f'{{"model": "{"m" * 200}"}}', 422, "invalid_request_error", "invalid_request", "model"),
        (" " * 3_000_001, 413, "invalid_request_error", "body_too_large", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_are_problems_with_what_the_client_reads(
    http: httpx.Client, content: str, status: int, kind: str, code: str, param: str | None
) -> None:
    answer = http.post("/v1/completions", content=content, headers={"Content-Type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert problem["type"] == f"/problems/{code.replace('_', '-')}"
    assert problem["error"] == {"message": problem["detail"], "type": kind, "param": param, "code": code}


def test_failure_after_the_start_is_raised_by_the_client(client: OpenAI) -> None:
    """With so short a deadline some of many prompts are never run."""
    options: Any = {"model": MODEL, "prompt": [PROMPT] * 64, "max_tokens": 500, "extra_body": {"timeout_ms": 1}}
    errors: list[openai.APIError] = []
    for _ in range(30):
        try:
            list(client.completions.create(**options, stream=True))
        except openai.APIStatusError:
            continue  # late before it began
        except openai.APIError as error:
            errors.append(error)
            break
    assert [(error.code, error.type) for error in errors] == [("timed_out", "server_error")]


def test_models_can_be_listed(client: OpenAI, http: httpx.Client) -> None:
    names = [model.id for model in client.models.list()]
    assert names == [item["name"] for item in http.get("/v1/models").json()["models"] if item["task"] == "completion"]
    for name in names:
        assert client.completions.create(model=name, prompt="x", max_tokens=1).system_fingerprint == f"{name}/1"


def test_a_model_can_be_retrieved(client: OpenAI, http: httpx.Client) -> None:
    """Like its entry in both lists; the other members equal those of our own list."""
    for listed in client.models.list():
        assert client.models.retrieve(listed.id).model_dump(include=set(Model.model_fields)) == listed.model_dump()
    whole = http.get("/v1/models").json()
    for name in (MODEL, "sentiment-en-uni"):
        told = http.get(f"/v1/models/{name}").json()
        assert told["models"] == [item for item in whole["models"] if item["name"] == name] != []
        assert (told["id"], told["broken"]) == (name, [])
    with pytest.raises(openai.NotFoundError, match=r"there is no model nobody; the models are .*lm-en"):
        client.models.retrieve("nobody")
    assert http.get(f"/v1/models/{'m' * 200}").status_code == 422


def test_other_methods_are_told_in_the_same_form(http: httpx.Client) -> None:
    answer = http.get("/v1/completions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert "error" not in http.get("/v1/complete").json()


def test_inputs_are_counted_as_of_the_native_route(client: OpenAI, http: httpx.Client) -> None:
    def count(name: str) -> float:
        lines = http.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    inputs, requests = 'unroll_inputs_total{task="completion"}', 'unroll_http_requests_total{route="/v1/completions"'
    before = count(inputs), count(requests)
    client.completions.create(model=MODEL, prompt=[PROMPT, "x"], n=3, max_tokens=2)
    assert (count(inputs), count(requests)) == (before[0] + 6, before[1] + 1)
    assert count("unroll_pending_requests") == 0
