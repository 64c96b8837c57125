"""Paths of models under `/v2`, and the version that a path names."""

from typing import Any

from fastapi import Request

from app.api.body import TIMEOUT_PARAMETER
from app.api.service import Service
from app.errors import ModelNotFound
from app.store.manifest import Manifest

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"


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
    """The version that the path names. Raises ModelNotFound and ModelUnavailable."""
    name, version = request.path_params["model"], request.path_params.get("version")
    if version is not None and not (version.isascii() and version.isdigit() and 0 < len(version) < 10):
        raise ModelNotFound(f"model {name} has no version {version}; versions are numbers from 1")
    return service.named(name, None if version is None else int(version))
