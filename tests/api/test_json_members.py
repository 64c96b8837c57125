"""Members of JSON bodies: `null` for an optional member means left out, and 5.0 is an integer, at every operation."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.operations import BY_NAME, DOCUMENT, JSON, OPERATIONS, Operation

VOLATILE = {"id", "created"}  # members of OpenAI's answers
TASKS = [one for one in OPERATIONS if JSON in one.bodies and "Administration" not in one.described["tags"]]
each_task = pytest.mark.parametrize("operation", TASKS, ids=[operation.name for operation in TASKS])


def schema_of(node: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object behind a reference, or behind a choice between it and null."""
    for choice in (node, *node.get("anyOf", ())):
        if "$ref" in choice:
            found: dict[str, Any] = DOCUMENT["components"]["schemas"][choice["$ref"].rpartition("/")[2]]
            return found
    return node


def with_nulls(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The value with null for each optional member that it leaves out, in nested objects too."""
    whole = dict(value)
    for name, described in schema["properties"].items():
        inner = schema_of(described)
        if "properties" in inner and name != "stream_options" and name not in schema.get("required", ()):
            whole[name] = with_nulls(inner, value.get(name, {}))
        elif name not in value and name not in schema.get("required", ()):
            whole[name] = None
    return whole


def stable(answer: httpx.Response) -> object:
    content = answer.json()
    if isinstance(content, dict):
        return {name: value for name, value in content.items() if name not in VOLATILE}
    return content


@each_task
def test_null_means_left_out(http: httpx.Client, operation: Operation) -> None:
    schema = schema_of(operation.bodies[JSON]["schema"])
    value = next(iter(operation.examples.values()))["value"]
    answers = [http.post(operation.url, json=body) for body in (value, with_nulls(schema, value))]
    assert [answer.status_code for answer in answers] == [200, 200], answers[1].text
    assert answers[0].headers["content-type"] == answers[1].headers["content-type"]
    if operation.name not in ("open_inference_generate_stream", "open_inference_generate_stream_of_version"):
        if operation.name == "openai_completions":
            assert answers[0].json()["usage"]["prompt_tokens"] == answers[1].json()["usage"]["prompt_tokens"]  # drawn
        else:
            assert stable(answers[0]) == stable(answers[1])


def optional_members() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The optional members of each JSON body and of the objects in it."""
    pending = [operation.bodies[JSON]["schema"] for operation in OPERATIONS if JSON in operation.bodies]
    seen = []
    while pending:
        schema = schema_of(pending.pop())
        if "properties" not in schema or schema in seen:
            continue
        seen.append(schema)
        for name, member in schema["properties"].items():
            pending += [member, *([member["items"]] if "items" in member else ())]
            if name not in schema.get("required", ()):
                yield schema["title"], name, member


def test_the_document_says_that_optional_members_may_be_null() -> None:
    members = list(optional_members())
    assert len(members) > 100
    assert [item[:2] for item in members if {"type": "null"} not in item[2].get("anyOf", ())] == []


def test_null_of_a_required_or_unknown_member_is_refused(http: httpx.Client) -> None:
    for path, body in (
        ("/v1/sentiment", {"inputs": None}),
        ("/v1/sentiment", {"inputs": "a", "no_such_member": None}),
        ("/v2/models/lm-en/generate", {"text_input": "a", "no_such_member": None}),
        ("/v2/models/lm-en/generate", {"text_input": "a", "parameters": {"no_such_member": None}}),
    ):
        assert http.post(path, json=body).status_code == 422, (path, body)


@pytest.mark.parametrize("place", ["beside", "within", "both"])
def test_parameters_of_generate_may_be_null(http: httpx.Client, place: str) -> None:
    nulls = dict.fromkeys(("temperature", "max_tokens", "beams", "seed", "stream", "priority", "timeout", "stop"))
    body: dict[str, Any] = {"text_input": "a"}
    plain = http.post("/v2/models/lm-en/generate", json=body).json()
    body |= nulls if place != "within" else {}
    body |= {"parameters": nulls} if place != "beside" else {}
    answer = http.post("/v2/models/lm-en/generate", json=body)
    assert answer.json() == plain


def test_null_in_the_body_does_not_contradict_the_query(http: httpx.Client) -> None:
    value = BY_NAME["caption"].examples["photo"]["value"]
    answer = http.post("/v1/caption", params={"max_tokens": 3}, json=value | {"max_tokens": None, "beams": None})
    assert answer.status_code == 200, answer.text


INTEGERS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("/v1/sentiment", {"inputs": "a"}, "priority"),
    ("/v1/translate", {"inputs": "a"}, "max_tokens"),
    ("/v1/complete", {"inputs": "a"}, "next_tokens"),
    ("/v1/completions", {"model": "lm-en", "prompt": "a"}, "n"),
    ("/hf/translation/translate-en-ko", {"inputs": "a"}, "parameters.generate_parameters.max_new_tokens"),
    ("/hf/text-generation/lm-en", {"inputs": "a"}, "parameters.max_new_tokens"),
    ("/v2/models/lm-en/generate", {"text_input": "a"}, "parameters.max_tokens"),
)


def nested(path: str, value: object) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


@pytest.mark.parametrize(("path", "body", "member"), INTEGERS, ids=str)
def test_a_whole_number_is_an_integer(http: httpx.Client, path: str, body: dict[str, Any], member: str) -> None:
    assert http.post(path, json=body | nested(member, 5.0)).status_code == 200
    for wrong in (5.5, True, "5", [5]):
        answer = http.post(path, json=body | nested(member, wrong))
        assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, member), wrong
    text = json.dumps(body | nested(member, "infinite")).replace('"infinite"', "1e400")
    answer = http.post(path, content=text, headers={"Content-Type": JSON})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request"), text


@pytest.mark.parametrize("timeout", [10**30, 10**400, 1e300])
def test_a_timeout_may_be_as_long_as_it_likes(http: httpx.Client, timeout: float) -> None:
    assert http.post("/v1/sentiment", json={"inputs": "a", "timeout_ms": timeout}).status_code == 200
    tensor = {"name": "text_input", "shape": [1.0], "datatype": "BYTES", "data": ["a"]}
    body = {"inputs": [tensor], "parameters": {"timeout": timeout, "priority": 1.0}}
    assert http.post("/v2/models/sentiment-en/infer", json=body).status_code == 200


def test_elements_of_uint8_may_be_written_as_numbers(http: httpx.Client) -> None:
    def answer(*pixels: float) -> httpx.Response:
        tensor = {"name": "pixels", "shape": [1, 1, 1, 3], "datatype": "UINT8", "data": list(pixels)}
        return http.post("/v2/models/caption-en/infer", json={"inputs": [tensor]})

    assert answer(1, 2, 255).status_code == 200
    assert answer(1.0, 2.0, 255.0).json() == answer(1, 2.0, 255).json() == answer(1, 2, 255).json()
    for wrong in (1.5, 256, 256.0, -1.0, True, 10**30, 1e300):
        assert answer(1, 2, wrong).status_code == 422, wrong
