"""Models as an administrator changes them: uploads, loads, unloads and defaults. All need an administrator key."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel

from app.api.access.guard import check_administrator
from app.api.body import json_body, read_json
from app.api.openapi.deferred import Deferred
from app.api.problems import problems
from app.api.schemas import (
    DefaultRequest,
    DefaultVersion,
    LoadedVersion,
    LoadRequest,
    UnloadedVersions,
    UnloadRequest,
    UploadedPiece,
)
from app.api.service import Service, ServiceDependency
from app.errors import (
    AdminOff,
    BodyTooLarge,
    ContradictoryOptions,
    LoadFailed,
    ModelNotFound,
    NotAllowed,
    NotReady,
    StoreNotWritable,
    StoreUnreachable,
    UnsupportedMedia,
    WrongKey,
)
from app.store.names import MOST_VERSION

Name = Annotated[
    str,
    Path(
        max_length=128,
        description="Name of a model in the model store.",
        openapi_examples={"shipped": {"summary": "A shipped model", "value": "sentiment-en"}},
    ),
]
Form = TypeVar("Form", bound=BaseModel)


async def _administrator(request: Request, service: ServiceDependency) -> Service:
    """The service, for a caller with an administrator key. Raises AdminOff, WrongKey and NotAllowed."""
    check_administrator(request, service.keys, service.metrics)
    return service


Administrated = Annotated[Service, Depends(_administrator)]
router = APIRouter(prefix="/v1/models/{name}", tags=["Administration"])


def _described(form: type[BaseModel], examples: dict[str, Any], *, required: bool = False) -> Deferred:
    return Deferred(lambda: {"requestBody": {"required": required, "content": json_body(form, examples)}})


async def _read(request: Request, form: type[Form]) -> Form:
    """The body; an empty one leaves out every member."""
    return form() if not await request.body() else await read_json(request, form)


@router.post(
    "/load",
    operation_id="load_model",
    summary="Load a version",
    responses=problems(
        AdminOff, NotAllowed, WrongKey, ModelNotFound, LoadFailed, NotReady, StoreUnreachable, UnsupportedMedia
    ),
    openapi_extra=_described(
        LoadRequest,
        {
            "newest": {"summary": "The newest version in the model store", "value": {}},
            "one": {"summary": "A version by number", "value": {"version": 1}},
        },
    ),
)
async def load(name: Name, request: Request, service: Administrated) -> LoadedVersion:
    """Checks, loads and warms a version of the model store in one engine after another while the others serve. When all
    engines have it, all front ends serve it. It becomes the default version of its name if it is the newest and no
    other is set. If loading fails, nothing changes."""
    body = await _read(request, LoadRequest)
    manifest = await service.rollout.load(name, body.version)
    return LoadedVersion(
        name=name, version=manifest.version, default_version=service.rollout.default_of(name) or manifest.version
    )


@router.put(
    "/default",
    operation_id="set_default_version",
    summary="Set the default version",
    responses=problems(AdminOff, NotAllowed, WrongKey, ModelNotFound, StoreNotWritable, UnsupportedMedia),
    openapi_extra=_described(
        DefaultRequest,
        {
            "one": {"summary": "A version by number", "value": {"version": 1}},
            "newest": {"summary": "Always the newest version", "value": {"version": None}},
        },
        required=True,
    ),
)
async def set_default(name: Name, request: Request, service: Administrated) -> DefaultVersion:
    """Sets the version that answers requests which name the model without a version, even if a newer version is loaded.
    The model store keeps the setting."""
    body = await read_json(request, DefaultRequest)
    return DefaultVersion(name=name, version=await service.rollout.set_default(name, body.version))


@router.put(
    "/uploads/{version}/{file}",
    operation_id="upload_file",
    summary="Upload a file of a version, piece by piece",
    responses=problems(
        AdminOff, NotAllowed, WrongKey, BodyTooLarge, ContradictoryOptions, StoreNotWritable, StoreUnreachable
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(
    name: Name,
    version: Annotated[
        int,
        Path(
            ge=1,
            le=MOST_VERSION,
            description="A number that the model does not have yet.",
            openapi_examples={"new": {"summary": "A new version", "value": 1000}},
        ),
    ],
    file: Annotated[
        str,
        Path(
            max_length=100,
            description="Name of a file of the version, such as manifest.json.",
            openapi_examples={"card": {"summary": "The model card", "value": "MODEL_CARD.md"}},
        ),
    ],
    request: Request,
    service: Administrated,
    offset: Annotated[int, Query(ge=0, le=2**50, description="Bytes of the file before this piece.")] = 0,
) -> UploadedPiece:
    """Appends the body to a file of a new version. The piece at 0 begins the file; each further one begins where the
    file ends. `manifest.json` comes last, in one piece: the service compares sizes and hashes, and the version is in
    the model store, not loaded yet. Nothing of a version is visible before."""
    held = await service.rollout.upload(
        name, version, file, offset, await request.body(), most=service.most_version_bytes
    )
    return UploadedPiece(name=name, version=version, file=file, bytes=held)


@router.post(
    "/unload",
    operation_id="unload_model",
    summary="Unload a version",
    responses=problems(AdminOff, WrongKey, ModelNotFound, UnsupportedMedia),
    openapi_extra=_described(
        UnloadRequest,
        {
            "one": {"summary": "A version by number", "value": {"version": 1}},
            "all": {"summary": "All versions of the name", "value": {}},
        },
    ),
)
async def unload(name: Name, request: Request, service: Administrated) -> UnloadedVersions:
    """Stops new requests to a version, waits for its running requests, and frees its memory. The version stays in the
    model store, and requests do not load it; loading it or restarting the service serves it again."""
    body = await _read(request, UnloadRequest)
    return UnloadedVersions(name=name, versions=await service.rollout.unload(name, body.version))
