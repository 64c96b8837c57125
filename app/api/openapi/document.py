"""The OpenAPI document: that of FastAPI, completed for Swagger UI and for client generators."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api.body import JSON, NULL
from app.api.openapi.access import describe_access
from app.api.openapi.answers import DESCRIPTIONS
from app.api.openapi.examples import recorded_answers, recorded_problems
from app.api.openapi.shared_problems import shared_problems
from app.api.problems import MEDIA_TYPE, Problem
from app.api.routes import ErrorMembers, Routes

TAGS = (
    {"name": "Tasks", "description": "Each takes one input or a list, and returns the results in the same order."},
    {"name": "Sessions", "description": "What the service keeps between the requests of a key."},
    {"name": "Models", "description": "The versions that the service has."},
    {
        "name": "Administration",
        "description": "Load and unload versions while requests run. Needs an administrator's key: start the service "
        "with one (`UNROLL_ADMIN_KEY`), press **Authorize** and enter it.",
    },
    {
        "name": "Compatible",
        "description": "The same tasks for clients of OpenAI and Hugging Face.",
    },
    {
        "name": "Open Inference Protocol",
        "description": "The same tasks for clients of version 2 of this protocol, such as those of Triton and KServe. "
        "Loading and unloading is under **Administration**.",
    },
    {"name": "Operation", "description": "For monitoring."},
)
_SCHEMA_PLACE = "#/components/schemas/"


def operation_id(route: APIRoute) -> str:
    """The id of an operation: the name of its function. Ids of the Open Inference Protocol have a prefix, and a suffix
    if their path has a version."""
    if not route.path.startswith("/v2"):
        return route.name
    return f"open_inference_{route.name}" + ("_of_version" if "{version}" in route.path else "")


def install_document(app: FastAPI, routes: Routes) -> None:
    """Complete the document of `app`. Problems of some `routes` have members beside the standard ones."""
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generated()
            schemas = document["components"]["schemas"]
            describe_access(document, routes)
            _lifted(Problem.model_json_schema(mode="serialization"), schemas)
            document["paths"] = _in_order(_complete(document["paths"], schemas))
            for path, operation in _operations(document):
                _describe_answer(operation)
                _sort_answers(operation)
                match = routes.match(path)
                _show_problems(operation, match.route.error_members if match is not None else None)
            document["components"]["schemas"] = dict(sorted(schemas.items()))
            document["components"]["responses"] = shared_problems(document["paths"])
            app.openapi_schema = document
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for operation in item.values():
            yield path, operation


def _in_order(paths: dict[str, Any]) -> dict[str, Any]:
    """Paths without a version first, since few clients name one."""
    return dict(sorted(paths.items(), key=lambda item: "{version}" in item[0]))


def _complete(node: Any, schemas: dict[str, Any]) -> Any:
    """A part of the document, completed: nulls of examples, and named schemas of bodies and events, which FastAPI does
    not see."""
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
    """Move a schema and its parts to the named `schemas`. Returns a reference to it."""
    whole = {key: value for key, value in schema.items() if key != "$defs"}
    for name, part in {schema["title"]: whole, **schema.get("$defs", {})}.items():
        moved = _moved(part)
        assert schemas.setdefault(name, moved) == moved, f"two schemas have the name {name}"
    return {"$ref": _SCHEMA_PLACE + schema["title"]}


def _moved(node: Any) -> Any:
    """A schema whose references point to the named schemas."""
    if isinstance(node, list):
        return [_moved(item) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _moved(value) for key, value in node.items() if value is not None}  # as FastAPI leaves them out
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
    """Sort by status, and JSON first: client generators use the first media type that they know, and read a stream as a
    string."""
    operation["responses"] = dict(sorted(operation["responses"].items()))
    for answer in operation["responses"].values():
        content = answer.get("content", {})
        if JSON in content:
            answer["content"] = {JSON: content[JSON], **content}


def _show_problems(operation: dict[str, Any], error_members: ErrorMembers | None) -> None:
    """Give the example of each problem its recorded body, with the members that the clients of the route read."""
    recorded, name = recorded_problems(), operation["operationId"]
    for answer in operation["responses"].values():
        for slug, example in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items():
            if problem := recorded.get(
                f"{slug} of {name}", recorded.get(slug)
            ):  # a new kind has none before `make examples`
                example["value"] = problem | (error_members(problem) if error_members else {})
