"""How keys are sent, in the OpenAPI document: what Swagger UI's Authorize and generated clients read."""

from collections.abc import Container
from typing import Any

from fastapi import FastAPI

from app.api.access.guard import is_public
from app.api.problems import add_problems
from app.errors import NotAllowed, RateLimited, WrongKey

_SCHEMES = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "A key, as `Authorization: Bearer KEY`."},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same keys."},
}
_NEEDED: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
_ADMINISTRATION = "Administration"


def describe_access(app: FastAPI, *, tasks: Container[str]) -> None:
    """Every operation takes a key, which a service without keys does not ask for; administration needs one, and probes
    do not. What asks for one of the `tasks` may be refused for its rate."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        if "security" not in document:
            document["security"] = [{}, *_NEEDED]
            document.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for path, item in document["paths"].items():
                for operation in item.values():
                    _describe(operation, path)
                    if path in tasks:
                        add_problems(operation, RateLimited)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(operation: dict[str, Any], path: str) -> None:
    if is_public(path):
        operation["security"] = []
        return
    if _ADMINISTRATION in operation.get("tags", ()):
        operation["security"] = _NEEDED
    add_problems(operation, WrongKey, NotAllowed)
