"""How keys are sent, in the OpenAPI document: what Swagger UI's Authorize and generated clients read."""

from typing import Any

from fastapi import FastAPI

from app.api.access.guard import is_public
from app.api.problems import add_problems
from app.api.routes import Routes
from app.errors import NotAllowed, RateLimited, WrongKey

_SCHEMES = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "A key, as `Authorization: Bearer KEY`."},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same keys."},
}
_NEEDED: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
_ADMINISTRATION = "Administration"


def describe_access(app: FastAPI, routes: Routes) -> None:
    """Every operation takes a key, which a service without keys does not require. Administration requires one, probes
    do not. Tasks may be refused for their rate."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        if "security" not in document:
            document["security"] = [{}, *_NEEDED]
            document.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for path, item in document["paths"].items():
                for operation in item.values():
                    _describe(operation, path)
                    match = routes.match(path)
                    if match is not None and match.route.endpoint is not None:
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
