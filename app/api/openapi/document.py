"""The OpenAPI document: what the framework says of the app, made whole for Swagger UI and for generators of clients."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api.body import JSON, NULL
from app.api.openapi.answers import DESCRIPTIONS
from app.api.openapi.examples import recorded_answers, recorded_problems
from app.api.problems import MEDIA_TYPE, Problem
from app.api.routes import ErrorMembers, Routes

TAGS = (
    {"name": "Tasks", "description": "Each takes one input or a list, and answers in the same order."},
    {"name": "Models", "description": "What can be served."},
    {
        "name": "Administration",
        "description": "Versions loaded and unloaded while requests run. Off unless the service has an `admin_key`; "
        "press **Authorize** and give it.",
    },
    {
        "name": "Compatible",
        "description": "The same tasks for clients that were written for other services: OpenAI's and Hugging Face's.",
    },
    {
        "name": "Open Inference Protocol",
        "description": "The same for clients of version 2 of that protocol, Triton's and KServe's. What loads and "
        "unloads is under **Administration**.",
    },
    {"name": "Operation", "description": "For machines that watch the service."},
)
_SCHEMA_PLACE = "#/components/schemas/"


def operation_id(route: APIRoute) -> str:
    """The name of an operation, and of its function in a generated client: that of ours. Paths of the Open Inference
    Protocol have its name before them, and come with a version and without."""
    if not route.path.startswith("/v2"):
        return route.name
    return f"open_inference_{route.name}" + ("_of_version" if "{version}" in route.path else "")


def install_document(app: FastAPI, routes: Routes) -> None:
    """Complete the document of `app`. `routes` names the members that problems of some routes have in addition."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = described()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            _lifted(Problem.model_json_schema(mode="serialization"), schemas)
            document["paths"] = _in_order(_complete(document["paths"], schemas))
            for path, operation in _operations(document):
                _describe_answer(operation)
                _sort_answers(operation)
                match = routes.match(path)
                _show_problems(operation, match.route.error_members if match is not None else None)
            document["components"]["schemas"] = dict(sorted(schemas.items()))
            app.openapi_schema = document
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for operation in item.values():
            yield path, operation


def _in_order(paths: dict[str, Any]) -> dict[str, Any]:
    """What names no version first: a version is what few ask for."""
    return dict(sorted(paths.items(), key=lambda item: "{version}" in item[0]))


def _complete(node: Any, schemas: dict[str, Any]) -> Any:
    """A part of the document with what the framework has left out: nulls of examples, and names for the schemas of
    bodies and events, which are read and made past it."""
    if isinstance(node, list):
        return [_complete(item, schemas) for item in node]
    if not isinstance(node, dict):
        return None if node == NULL else node
    done = {key: _complete(value, schemas) for key, value in node.items()}
    for place in ("schema", "contentSchema"):
        if isinstance(schema := done.get(place), dict) and {"title", "properties"} <= schema.keys():
            done[place] = _lifted(schema, schemas)
    return done


def _lifted(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a schema that is put, with its parts, among those that have names."""
    whole = {key: value for key, value in schema.items() if key != "$defs"}
    for name, part in {schema["title"]: whole, **schema.get("$defs", {})}.items():
        moved = _moved(part)
        assert schemas.setdefault(name, moved) == moved, f"two schemas have the name {name}"
    return {"$ref": _SCHEMA_PLACE + schema["title"]}


def _moved(node: Any) -> Any:
    """A schema with its references to where its parts are now."""
    if isinstance(node, list):
        return [_moved(item) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _moved(value) for key, value in node.items() if value is not None}  # as the framework leaves them out
    if isinstance(place := node.get("$ref"), str):
        moved["$ref"] = place.replace("#/$defs/", _SCHEMA_PLACE)
    return moved


def _describe_answer(operation: dict[str, Any]) -> None:
    """Describe the successful answer, with the recorded answers to examples of the body."""
    name = operation["operationId"].removesuffix("_of_version")
    answer = operation["responses"]["200"]
    answer["description"] = DESCRIPTIONS.get(name, answer["description"])
    bodies = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("examples", {})
    recorded = recorded_answers().get(name, {})
    if examples := {
        example: {"summary": body["summary"], "value": recorded[example]}
        for example, body in bodies.items()
        if example in recorded
    }:
        answer["content"][JSON]["examples"] = examples


def _sort_answers(operation: dict[str, Any]) -> None:
    """By status, and JSON first: generators take the first media type that they know; a stream is a string to them."""
    operation["responses"] = dict(sorted(operation["responses"].items()))
    for answer in operation["responses"].values():
        content = answer.get("content", {})
        if JSON in content:
            answer["content"] = {JSON: content[JSON], **content}


def _show_problems(operation: dict[str, Any], error_members: ErrorMembers | None) -> None:
    """Give the example of each problem its recorded body, with the members that the clients of the route read."""
    for answer in operation["responses"].values():
        for slug, example in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items():
            if problem := recorded_problems().get(slug):  # a new kind has none before `make examples`
                example["value"] = problem | (error_members(problem) if error_members else {})
