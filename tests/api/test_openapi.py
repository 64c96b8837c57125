"""The OpenAPI document: it equals docs/openapi.json, it is complete, and its examples run unchanged."""

import json
import keyword
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.openapi.answers import DESCRIPTIONS
from app.api.openapi.examples import recorded_answers
from app.api.pieces.answers import NDJSON
from app.api.problems import ALL_KINDS, MEDIA_TYPE
from tests.api.operations import ADMIN_KEY, BY_NAME, DOCUMENT, JSON, OPERATIONS, Operation, example_of

STORED = Path(__file__).parents[2] / "docs" / "openapi.json"
EVENT_STREAM = "text/event-stream"
PROBLEM = {"$ref": "#/components/schemas/Problem"}
ANSWERED = recorded_answers()
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.name for operation in OPERATIONS])


@pytest.fixture(scope="session")
def schema() -> Any:
    """The document, with a method that validates a response. Only a process that uses it imports its package, because
    that takes a second."""
    import schemathesis

    return schemathesis.openapi.from_dict(DOCUMENT)


def references(node: object) -> Iterator[str]:
    """Every `$ref` in the document."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_stored_document_is_that_of_the_app() -> None:
    assert json.loads(STORED.read_text(encoding="utf-8")) == json.loads(json.dumps(DOCUMENT)), "run `make openapi`"


def test_references_lead_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert found
    for reference in found:
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part.replace("~1", "/")]


def test_a_version_left_out_is_the_default_one() -> None:
    """The description of `version` in bodies and query strings: the default is not always the newest."""
    bodies = [schema.get("properties", {}) for schema in DOCUMENT["components"]["schemas"].values()]
    chosen = [members["version"] for members in bodies if {"model", "version", "timeout_ms"} <= members.keys()]
    queries = [item for operation in OPERATIONS for item in operation.parameters if item["in"] == "query"]
    chosen += [item for item in queries if item["name"] == "version"]
    assert len(chosen) > 5
    assert all("default version: the newest, unless another is set" in json.dumps(item) for item in chosen)


def test_names_of_schemas_are_words_for_people() -> None:
    """No `Body_caption_v1_caption_post`, no `Options-Input`: schemas become classes of generated clients."""
    schemas = DOCUMENT["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch(r"([A-Z][a-z0-9]+|[A-Z]+(?=[A-Z]|$))+", name)] == []
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []
    assert list(schemas) == sorted(schemas)


def test_tags_are_described_and_in_order() -> None:
    described = [tag["name"] for tag in DOCUMENT["tags"]]
    assert all(tag["description"] for tag in DOCUMENT["tags"])
    used = [tag for operation in OPERATIONS for tag in operation.described["tags"]]
    assert set(used) == set(described)
    assert described[0] == "Tasks"
    of_protocol = [operation for operation in OPERATIONS if operation.path.startswith("/v2")]
    assert {tag for operation in of_protocol for tag in operation.described["tags"]} == {
        "Open Inference Protocol",
        "Administration",
    }
    for tag in described:
        name_versions = [
            "{version}" in operation.path for operation in OPERATIONS if operation.described["tags"] == [tag]
        ]
        assert name_versions == sorted(name_versions), tag


def test_problems_of_several_operations_are_written_once() -> None:
    inline = [
        json.dumps(answer)
        for item in DOCUMENT["paths"].values()
        for described in item.values()
        for answer in described["responses"].values()
        if MEDIA_TYPE in answer.get("content", {})
    ]
    shared = [json.dumps(answer) for answer in DOCUMENT["components"]["responses"].values()]
    assert len(set(shared)) == len(shared) > 10
    assert len(set(inline)) == len(inline)
    assert not set(inline) & set(shared)


def test_options_of_a_form_stand_in_the_query_string_alone() -> None:
    for operation in OPERATIONS:
        named = {item["name"] for item in operation.parameters}
        form = operation.bodies.get("multipart/form-data", {"schema": {"$ref": "#/components/schemas/Problem"}})
        (place,) = references(form)
        assert not named & DOCUMENT["components"]["schemas"][place.rsplit("/", 1)[1]]["properties"].keys()


def test_administration_says_that_it_needs_a_key() -> None:
    for operation in OPERATIONS:
        needs = operation.described["tags"] == ["Administration"]
        assert needs == ("needs an administrator's key" in operation.described["description"])


def test_names_of_operations_are_good_names_of_functions() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", name) or keyword.iskeyword(name)] == []
    assert {"sentiment", "caption", "translate", "complete", "list_models", "load_model"} <= set(names)


@each_operation
def test_operation_is_described(operation: Operation) -> None:
    described = operation.described
    assert described["summary"]
    assert len(described["description"]) > len(described["summary"])
    assert len(described["tags"]) == 1
    for parameter in operation.parameters:
        assert parameter["description"], parameter["name"]
        assert parameter["in"] != "path" or example_of(parameter)


@each_operation
def test_body_has_examples_with_summaries(operation: Operation) -> None:
    """Files have no examples: JSON cannot contain them."""
    for media_type, content in operation.bodies.items():
        if media_type == JSON:
            assert content["examples"]
            assert all(example["summary"] and "value" in example for example in content["examples"].values())
        else:
            assert content.get("examples") or has_files(content)


def has_files(content: dict[str, Any]) -> bool:
    named = [DOCUMENT["components"]["schemas"][place.rsplit("/", 1)[1]] for place in references(content)]
    return '"format": "binary"' in json.dumps([content, *named])


@each_operation
def test_answer_has_a_schema(operation: Operation) -> None:
    (good,) = [answer for status, answer in operation.described["responses"].items() if status.startswith("2")]
    assert good["description"]
    assert good["content"]
    assert all(
        content["itemSchema" if kind in (EVENT_STREAM, NDJSON) else "schema"]
        for kind, content in good["content"].items()
    )
    if JSON in good["content"]:
        assert next(iter(good["content"])) == JSON
        assert list(references(good["content"][JSON]["schema"]))
    can_stream = any(example["value"].get("stream") for example in operation.examples.values())
    assert not can_stream or good["content"][EVENT_STREAM]["example"]


def test_answers_are_described_in_words_of_their_own() -> None:
    assert DESCRIPTIONS.keys() <= BY_NAME.keys()
    told = {operation.name: operation.described["responses"]["200"]["description"] for operation in OPERATIONS}
    assert [name for name, description in told.items() if description == "Successful Response"] == []


def test_every_task_shows_an_answer() -> None:
    tasks = [one for one in OPERATIONS if one.described["tags"] == ["Tasks"] and not one.takes_pieces]
    assert {operation.name for operation in tasks} <= ANSWERED.keys()


@pytest.mark.parametrize("name", ANSWERED)
def test_examples_of_answers_fit_the_schema(schema: Any, name: str) -> None:
    """Each response example belongs to the request example of the same name."""
    operation = BY_NAME[name]
    examples = operation.described["responses"]["200"]["content"][JSON]["examples"]
    assert examples
    for asked, example in examples.items():
        assert example["summary"] == operation.examples[asked]["summary"]
        request = httpx.Request(operation.method, f"http://test{operation.url}")
        answer = httpx.Response(200, json=example["value"], request=request)
        answer.elapsed = timedelta()
        schema[operation.path][operation.method].validate_response(answer)


@each_operation
def test_errors_are_problems_with_examples(operation: Operation) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Problem"]["required"] == ["type", "title", "status", "detail"]
    assert not {"HTTPValidationError", "ValidationError"} & schemas.keys()
    assert list(operation.described["responses"]) == sorted(operation.described["responses"])
    for status, answer in operation.described["responses"].items():
        if status.startswith("2") or (operation.name, status) == ("readiness", "503"):
            continue  # which has its own format
        assert set(answer["content"]) == {MEDIA_TYPE}, status
        assert answer["content"][MEDIA_TYPE]["schema"] == PROBLEM
        examples = answer["content"][MEDIA_TYPE]["examples"]
        assert examples
        for name, example in examples.items():
            assert "value" in example, f"{name} is not recorded: run `make examples`"
            value = example["value"]
            assert (value["type"], str(value["status"])) == (f"/problems/{name}", status)
            assert value["detail"] != value["title"]


def test_examples_of_problems_are_of_kinds_that_there_are() -> None:
    there = {(kind.status, f"/problems/{kind.slug}") for kind in ALL_KINDS}
    assert {problem for operation in OPERATIONS for problem in operation.problems()} <= there


@pytest.mark.parametrize("name", ["openai_completions", "hugging_face_translation"])
def test_problems_have_what_the_clients_of_others_read(name: str) -> None:
    for status, answer in BY_NAME[name].described["responses"].items():
        if status != "200":
            assert all("error" in example["value"] for example in answer["content"][MEDIA_TYPE]["examples"].values())


EXAMPLES = [
    pytest.param(operation, example["value"], id=f"{operation.name} {name}")
    for operation in OPERATIONS
    if not operation.takes_pieces
    for name, example in (operation.examples or {"none": {"value": None}}).items()
]


@pytest.fixture(scope="module")
def administrator(administered: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with httpx.Client(base_url=administered, headers=headers) as client:
        yield client


@pytest.mark.parametrize(("operation", "value"), EXAMPLES)
def test_example_runs_as_it_stands(schema: Any, administrator: httpx.Client, operation: Operation, value: Any) -> None:
    """The response has the documented status, media type and schema. An unloaded model is loaded again."""
    body = {"json": value} if JSON in operation.bodies or not operation.bodies else {"content": b"a piece"}
    answer = administrator.request(operation.method, operation.url, **body)
    assert answer.status_code == 200, answer.text
    media_type = answer.headers["content-type"].split(";")[0]
    assert media_type in operation.described["responses"]["200"]["content"]
    only_streams = list(operation.described["responses"]["200"]["content"]) == [EVENT_STREAM]
    assert (media_type == EVENT_STREAM) == (only_streams or bool(value and value.get("stream")))
    schema[operation.path][operation.method].validate_response(answer)
    if operation.url.endswith("/unload"):
        assert administrator.post(operation.url.replace("/unload", "/load")).status_code == 200
    if operation.described["tags"] == ["Tasks"] and media_type == JSON:
        body, inputs = answer.json(), value["inputs"]
        assert len(body["results"]) == body["usage"]["inputs"]
        if isinstance(inputs, str) or (isinstance(inputs, list) and isinstance(inputs[0], str)):
            assert len(body["results"]) == (1 if isinstance(inputs, str) else len(inputs))
