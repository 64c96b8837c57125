"""Paths of models under `/v2`, with and without a version."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from fastapi import Request

from app.api.body import TIMEOUT_PARAMETER
from app.api.openapi.deferred import Deferred
from app.api.service import Service
from app.errors import ModelNotFound
from app.store.manifest import Manifest

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"
EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])


def both(suffix: str) -> tuple[str, str]:
    """The paths of a model and of a version that end in `suffix`."""
    return MODEL + suffix, VERSION + suffix


def for_both(
    route: Callable[..., Callable[[EndpointT], EndpointT]],
    suffix: str,
    *,
    summary: str,
    example: str,
    content: Callable[[], dict[str, Any]] | None = None,
    **others: Any,
) -> Callable[[EndpointT], EndpointT]:
    """Decorator that adds an endpoint at both paths by `route`, such as `router.get`. In `summary`, `{}` stands for "a
    model" or "a version"; `content` makes the OpenAPI content of the body."""

    def add(endpoint: EndpointT) -> EndpointT:
        for path, subject in zip(both(suffix), ("a model", "a version"), strict=True):
            extra = Deferred(partial(_with_content, example, path, content))
            route(path, summary=summary.format(subject), openapi_extra=extra, **others)(endpoint)
        return endpoint

    return add


def _with_content(example: str, path: str, content: Callable[[], dict[str, Any]] | None) -> dict[str, Any]:
    return described(example, path, None if content is None else content())


def described(example: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """Members of an OpenAPI operation that FastAPI does not see: variables of its path, and its body."""
    parameters: list[dict[str, Any]] = [
        {
            "name": "model",
            "in": "path",
            "required": True,
            "description": "Name of a model in `GET /v1/models`.",
            "schema": {"type": "string"},
            "example": example,
        }
    ]
    if "{version}" in path:
        schema = {"type": "integer", "minimum": 1}
        version = {"name": "version", "in": "path", "required": True, "schema": schema, "example": 1}
        parameters.append(version | {"description": "Its version."})
    if content is None:
        return {"parameters": parameters}
    body = {"required": True, "content": content}
    return {"parameters": [*parameters, TIMEOUT_PARAMETER], "requestBody": body}


def manifest_of(request: Request, service: Service) -> Manifest:
    """The version that the path names, or the default version. Raises ModelNotFound and ModelUnavailable."""
    name, version = request.path_params["model"], request.path_params.get("version")
    if version is not None and not (version.isascii() and version.isdigit() and 0 < len(version) < 10):
        raise ModelNotFound(f"model {name} has no version {version}; versions are numbers from 1")
    return service.named(name, None if version is None else int(version))
