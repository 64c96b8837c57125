"""The description of the interface is complete, is what docs/openapi.json holds, and its examples run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.problems import ALL_KINDS, MEDIA_TYPE
from app.main import create_app
from app.settings import Settings
from tests.api.sse import events_of

STORED = Path(__file__).parents[2] / "docs" / "openapi.json"
DESCRIPTION: dict[str, Any] = create_app(Settings(), engines=[]).openapi()
OPERATIONS = [
    (method, path, operation) for path, item in DESCRIPTION["paths"].items() for method, operation in item.items()
]
OPENAI = "/v1/completions"
HUGGING_FACE = {
    "/hf/text-classification/{model}": "sentiment-en",
    "/hf/translation/{model}": "translate-en-ko",
    "/hf/image-to-text/{model}": "caption-en",
    "/hf/text-generation/{model}": "lm-en",
}  # and the model of their examples
OPEN_INFERENCE = {
    f"/v2/models/{{model}}{version}/{verb}": model
    for version in ("", "/versions/{version}")
    for verb, model in (("infer", "sentiment-en"), ("generate", "lm-en"), ("generate_stream", "lm-en"))
}  # likewise
OF_A_MODEL = HUGGING_FACE | OPEN_INFERENCE
COMPATIBLE = (OPENAI, *OF_A_MODEL)
TASKS = ("/v1/sentiment", "/v1/caption", "/v1/translate", "/v1/complete")


def references(node: object) -> Iterator[str]:
    """Every `$ref` in a description."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_stored_description_is_that_of_the_app() -> None:
    assert json.loads(STORED.read_text(encoding="utf-8")) == json.loads(json.dumps(DESCRIPTION)), "run `make openapi`"


def test_all_routes_for_machines_are_described() -> None:
    administration = {f"/v1/models/{{name}}/{verb}" for verb in ("load", "unload", "default")}
    watched = {"/v1/models", "/healthz", "/readyz", "/metrics"}
    watched |= {"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/stats"}
    for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        watched |= {model, f"{model}/ready", f"{model}/config", f"{model}/stats"}
    administration |= {f"/v2/repository/{verb}" for verb in ("index", "models/{model}/load", "models/{model}/unload")}
    assert {path for _, path, _ in OPERATIONS} == {*TASKS, *COMPATIBLE, *administration, *watched}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=[path for _, path, _ in OPERATIONS])
def test_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert len(operation["description"]) > len(operation["summary"])
    assert operation["tags"]
    assert "default" in operation["responses"]


def test_errors_are_problems_and_nothing_else() -> None:
    schemas = DESCRIPTION["components"]["schemas"]
    assert schemas["Problem"]["required"] == ["type", "title", "status", "detail"]
    assert not {"HTTPValidationError", "ValidationError"} & schemas.keys()
    for _, path, operation in OPERATIONS:
        for status, response in operation["responses"].items():
            if path == "/readyz" or status == "200":
                continue  # which says in its own words what is not ready
            content = response["content"]
            assert set(content) == {MEDIA_TYPE}, (path, status)
            assert content[MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}


@pytest.mark.parametrize("path", [*TASKS, *COMPATIBLE])
def test_tasks_name_the_statuses_of_their_errors(path: str) -> None:
    described = set(DESCRIPTION["paths"][path]["post"]["responses"])
    assert described >= {"200", "400", "404", "413", "415", "422", "429", "500", "503", "504"}
    assert described - {"200", "default"} <= {str(kind.status) for kind in ALL_KINDS}


def test_references_lead_somewhere() -> None:
    found = list(references(DESCRIPTION))
    assert found
    for reference in found:
        node: Any = DESCRIPTION
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_request_bodies_describe_one_input_and_several() -> None:
    for path in TASKS:
        schema = DESCRIPTION["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert schema["required"] == ["inputs"]
        assert schema["additionalProperties"] is False
        assert {choice["type"] for choice in schema["properties"]["inputs"]["anyOf"]} == {"string", "array"}


EXAMPLES = [
    pytest.param(path, example["value"], id=f"{path} {name}")
    for path in (*TASKS, *COMPATIBLE)
    for name, example in DESCRIPTION["paths"][path]["post"]["requestBody"]["content"]["application/json"][
        "examples"
    ].items()
]


@pytest.mark.parametrize(("path", "value"), EXAMPLES)
def test_example_runs_as_it_stands(http: httpx.Client, path: str, value: dict[str, Any]) -> None:
    if path in OF_A_MODEL:
        path = path.format(model=model_of(path), version=1)
    answer = http.post(path, json=value)
    assert answer.status_code == 200, answer.text
    if path.startswith("/v2/"):
        assert has_outputs(answer.text, value)
        return
    if path not in TASKS:
        assert has_answers(answer.text, value)
        return
    inputs = value["inputs"]
    results = streamed_results(answer.text) if value.get("stream") else answer.json()["results"]
    assert len(results) == (1 if isinstance(inputs, str) else len(inputs))


def model_of(path: str) -> str:
    """The model that an operation names as its example."""
    parameters = DESCRIPTION["paths"][path]["post"]["parameters"]
    (example,) = [item["example"] for item in parameters if item["name"] == "model"]
    assert example == OF_A_MODEL[path]
    return str(example)


def has_answers(text: str, value: dict[str, Any]) -> bool:
    """Whether there are as many as were asked for."""
    if value.get("stream"):
        return text.startswith("data: {") and text.endswith("}\n\n" if "inputs" in value else "[DONE]\n\n")
    answer, inputs = json.loads(text), value.get("inputs", value.get("prompt"))
    answers = answer if isinstance(answer, list) else answer["choices"]
    return bool(answers) and len(answers) == (len(inputs) if isinstance(inputs, list) else 1) * int(value.get("n", 1))


def has_outputs(text: str, value: dict[str, Any]) -> bool:
    """Whether each has as many rows as the input has."""
    if "text_input" in value:
        return "text_output" in text
    rows = {output["shape"][0] for output in json.loads(text)["outputs"]}
    return rows == {value["inputs"][0]["shape"][0]}


def streamed_results(text: str) -> list[Any]:
    return [event.data["result"] for event in events_of(text) if event.name == "result"]


def test_every_task_has_an_example() -> None:
    assert {example.values[0] for example in EXAMPLES} == {*TASKS, *COMPATIBLE}
