"""GET and DELETE /v1/sessions: what the service keeps for a key."""

import time
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from app.api.access.guard import owner_of
from app.api.problems import problems
from app.api.service import ServiceDependency
from app.api.sessions.kept import Kept, Place
from app.errors import SessionsOff, SessionsUnreachable, TimedOut

_DELETE_SECONDS = 60.0  # to wait for the request that is being answered
router = APIRouter(tags=["Sessions"])


class SessionInfo(BaseModel):
    """A session."""

    name: str = Field(
        description="As in `session`; of a sequence of the Open Inference Protocol the model and the id.",
        examples=["talk-1", "sentiment-en/42"],
    )
    model: str = Field(description="The model that answers.", examples=["lm-en"])
    version: int = Field(description="Its version.", examples=[1])
    bytes: int = Field(description="The size of its state.", examples=[4321])
    requests: int = Field(description="The number of its requests.", examples=[3])
    expires_in: float = Field(description="Seconds until it is forgotten, if it is not used.", examples=[582.5])


class SessionList(BaseModel):
    """The sessions of a key, the least recently used first."""

    sessions: list[SessionInfo]


class ForgottenSessions(BaseModel):
    """Sessions that were forgotten."""

    forgotten: list[str] = Field(description="Their names.", examples=[["talk-1"]])


@router.get(
    "/v1/sessions",
    operation_id="list_sessions",
    summary="List the sessions",
    responses=problems(SessionsOff, SessionsUnreachable),
)
async def sessions(request: Request, service: ServiceDependency) -> SessionList:
    """The sessions of the key of the request. Without keys all callers have the same ones."""
    store = service.sessions.store
    now, seconds = time.time(), store.limits.seconds
    return SessionList(
        sessions=[_info(name, kept, kept.used + seconds - now) for name, kept in await store.of(owner_of(request))]
    )


@router.delete(
    "/v1/sessions",
    operation_id="forget_sessions",
    summary="Forget all sessions",
    responses=problems(SessionsOff, SessionsUnreachable, TimedOut),
)
async def forget_all(request: Request, service: ServiceDependency) -> ForgottenSessions:
    """Each is forgotten after the request that it answers."""
    store, owner = service.sessions.store, owner_of(request)
    forgotten = []
    for name, _ in await store.of(owner):
        async with store.turn(Place(owner, name), time.monotonic() + _DELETE_SECONDS):
            if await store.forget(Place(owner, name)):
                forgotten.append(name)
    return ForgottenSessions(forgotten=forgotten)


@router.delete(
    "/v1/sessions/{name:path}",
    operation_id="forget_session",
    summary="Forget a session",
    responses=problems(SessionsOff, SessionsUnreachable, TimedOut),
)
async def forget(
    request: Request,
    service: ServiceDependency,
    name: Annotated[
        str,
        Path(
            description="Its name in `GET /v1/sessions`.",
            openapi_examples={"native": {"summary": "A session", "value": "talk-1"}},
        ),
    ],
) -> ForgottenSessions:
    """It is forgotten after the request that it answers; one that is not there is no error."""
    store, place = service.sessions.store, Place(owner_of(request), name)
    async with store.turn(place, time.monotonic() + _DELETE_SECONDS):
        was_there = await store.forget(place)
    return ForgottenSessions(forgotten=[name] if was_there else [])


def _info(name: str, kept: Kept, expires_in: float) -> SessionInfo:
    return SessionInfo(
        name=name,
        model=kept.model,
        version=kept.version,
        bytes=len(kept.state),
        requests=kept.requests,
        expires_in=max(0.0, round(expires_in, 1)),
    )
