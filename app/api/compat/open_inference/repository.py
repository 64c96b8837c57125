"""POST /v2/repository/...: the model store for Triton's clients. Loading and unloading need an administrator key."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.api.admin import Administrated
from app.api.body import Form, json_body, read_long
from app.api.compat.open_inference.paths import described
from app.api.compat.open_inference.schemas import (
    IndexedModel,
    IndexRequest,
    RepositoryLoaded,
    RepositoryLoadRequest,
    RepositoryUnloaded,
    RepositoryUnloadRequest,
)
from app.api.openapi.deferred import Deferred
from app.api.problems import problems
from app.api.service import ServiceDependency
from app.errors import (
    AdminOff,
    LoadFailed,
    ModelNotFound,
    NotAllowed,
    NotReady,
    StoreUnreachable,
    UnsupportedMedia,
    WrongKey,
)

LOAD, UNLOAD = "/v2/repository/models/{model}/load", "/v2/repository/models/{model}/unload"
INDEX_EXAMPLES = {
    "all": {"summary": "All versions", "value": {}},
    "ready": {"summary": "Only served versions", "value": {"ready": True}},
}
LOAD_EXAMPLES = {
    "newest": {"summary": "The newest version in the model store", "value": {}},
    "one": {"summary": "A version by number", "value": {"parameters": {"version": 1}}},
}
UNLOAD_EXAMPLES = {
    "all": {"summary": "All versions of the name", "value": {}},
    "one": {"summary": "A version by number", "value": {"parameters": {"version": 1}}},
}
router = APIRouter()
_ADMINISTRATION: Any = {"tags": ["Administration"]}


async def _read(request: Request, form: type[Form]) -> Form:
    """The body; an empty one leaves out every member."""
    content = await request.body()
    return await read_long(content, form) if content else form()


def _described(form: type[BaseModel], examples: dict[str, Any], path: Mapping[str, Any] | None = None) -> Deferred:
    return Deferred(lambda: {**(path or {}), "requestBody": {"required": False, "content": json_body(form, examples)}})


@router.post(
    "/v2/repository/index",
    tags=["Open Inference Protocol"],
    summary="List the versions",
    responses=problems(UnsupportedMedia),
    openapi_extra=_described(IndexRequest, INDEX_EXAMPLES),
)
async def index(request: Request, service: ServiceDependency) -> list[IndexedModel]:
    """Lists served, broken and unloaded versions; the last two with the reason. A served version is READY, also if only
    its next request loads it."""
    body = await _read(request, IndexRequest)
    view = service.client.view
    reasons = {} if body.ready else dict.fromkeys(service.catalog.unloaded, "unloaded")
    reasons |= {} if body.ready else service.catalog.broken(view)
    reasons |= {entry.manifest.key: "" for entry in service.catalog.usable(view)}
    models = [_indexed(key, reason) for key, reason in reasons.items()]
    return sorted(models, key=lambda model: (model.name, len(model.version), model.version))


def _indexed(key: str, reason: str) -> IndexedModel:
    name, _, version = key.rpartition("/")
    return IndexedModel(name=name, version=version, state="UNAVAILABLE" if reason else "READY", reason=reason)


@router.post(
    LOAD,
    **_ADMINISTRATION,
    summary="Load a version (Open Inference)",
    responses=problems(
        AdminOff, NotAllowed, WrongKey, ModelNotFound, LoadFailed, NotReady, StoreUnreachable, UnsupportedMedia
    ),
    openapi_extra=_described(RepositoryLoadRequest, LOAD_EXAMPLES, described("sentiment-en", LOAD)),
)
async def load(request: Request, service: Administrated) -> RepositoryLoaded:
    """Like `POST /v1/models/{name}/load`; without `version` the newest version in the model store."""
    body = await _read(request, RepositoryLoadRequest)
    manifest = await service.rollout.load(request.path_params["model"], body.parameters.version)
    return RepositoryLoaded(name=manifest.name)


@router.post(
    UNLOAD,
    **_ADMINISTRATION,
    summary="Unload a model (Open Inference)",
    responses=problems(AdminOff, NotAllowed, WrongKey, ModelNotFound, UnsupportedMedia),
    openapi_extra=_described(RepositoryUnloadRequest, UNLOAD_EXAMPLES, described("sentiment-en", UNLOAD)),
)
async def unload(request: Request, service: Administrated) -> RepositoryUnloaded:
    """Like `POST /v1/models/{name}/unload`; without `version` all versions of the name."""
    body = await _read(request, RepositoryUnloadRequest)
    name = request.path_params["model"]
    await service.rollout.unload(name, body.parameters.version)
    return RepositoryUnloaded(name=name)
