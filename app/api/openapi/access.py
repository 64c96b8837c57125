"""Keys in the OpenAPI document, for **Authorize** of Swagger UI and for generated clients."""

from typing import Any

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
_NEEDS_KEY = "It needs an administrator's key: press **Authorize** and enter it."


def describe_access(document: dict[str, Any], routes: Routes) -> None:
    """Add keys and their problems to all operations. A key is optional, since the service may run without keys, but
    administration requires one, and public paths take none. Only tasks have rate limits."""
    document["security"] = [{}, *_NEEDED]
    document["components"]["securitySchemes"] = _SCHEMES
    for path, item in document["paths"].items():
        match = routes.match(path)
        for operation in item.values():
            _describe(operation, path)
            if match is not None and match.route.endpoint is not None:
                add_problems(operation, RateLimited)


def _describe(operation: dict[str, Any], path: str) -> None:
    if is_public(path):
        operation["security"] = []
        return
    if _ADMINISTRATION in operation.get("tags", ()):
        operation["security"] = _NEEDED
        operation["description"] += f"\n\n{_NEEDS_KEY}"
    add_problems(operation, WrongKey, NotAllowed)
