"""The versions of all engines: loaded and unloaded on request, and kept as desired when an engine restarts."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from app.engine.client.connection import Connection
from app.engine.protocol import Change, Hello, Load, Loaded, NotLoaded, Status, Unload, Unloaded
from app.errors import LoadFailed, NotReady

_SETTLE_SECONDS = 2.0  # in which every front end knows the desired versions of an engine that just started


class LoadInterrupted(Exception):
    """An engine ended while it loaded a version, has too little memory for it, or fails to read its files. The version
    may be valid."""


@dataclass(slots=True)
class _EngineState:
    """`changes` are replies that are awaited, by `name/version` and whether it is loaded: a load may be sent while the
    version is being unloaded. None stands for the end of the engine. `started` is when the instance was first seen; a
    new one may have versions that are not desired any more."""

    changes: dict[tuple[str, bool], asyncio.Future[Change | None]] = field(default_factory=dict)
    started: float = 0.0
    is_new: bool = True


class EngineVersions:
    """Changes the versions of the engines."""

    def __init__(self) -> None:
        self._engines: dict[Connection, _EngineState] = {}
        self._desired: Mapping[str, str] | None = None  # None: the versions that the engines have

    def add(self, connection: Connection) -> None:
        """Keep the versions of an engine as desired."""
        self._engines[connection] = _EngineState()

    def remove(self, connection: Connection) -> None:
        """Forget an engine, and the changes with it."""
        self.ended(connection)
        del self._engines[connection]

    def set_desired(self, versions: Mapping[str, str]) -> None:
        """Folders of the versions that each engine should have, by `name/version`."""
        self._desired = versions
        for connection in self._ready():
            connection.send(Hello())  # `check` follows its status

    def why_gone(self, model: str) -> str | None:
        """Why no engine has a version, nor will have it soon; None otherwise, or while an engine starts."""
        if not self._engines or any(model in connection.models for connection in self._engines):
            return None
        statuses = [connection.status for connection in self._engines]
        if model not in (self._desired or ()):
            return "was unloaded before the request reached it; choose another version" if all(statuses) else None
        reasons = [status.broken.get(model) for status in statuses if status is not None]
        if len(reasons) < len(statuses) or not all(reasons):
            return None
        return f"cannot be used: {reasons[0]}; choose another version"

    async def load(self, model: str, folder: str) -> None:
        """Load a version into every ready engine, one after another, so that the others keep serving. Raises NotReady;
        LoadFailed and LoadInterrupted, after which some engines may have it."""
        ready = self._ready()
        if not ready:
            raise NotReady("no engine is ready to load it; retry in a moment")
        for connection in ready:
            reply = await self._change(connection, Load(model, folder))
            if reply is None and self._is_gone(connection):
                continue
            if reply is None:
                raise LoadInterrupted(
                    "an engine ended while it loaded it; the system may have killed it for its memory"
                )
            if isinstance(reply, NotLoaded):
                if reply.cause == "memory":
                    raise LoadInterrupted(f"an engine has too little memory for it: {reply.reason}")
                if reply.cause == "reading":
                    raise LoadInterrupted(f"an engine failed to read it: {reply.reason}")
                raise LoadFailed(f"{model} cannot be loaded: {reply.reason}", model=model)

    async def unload(self, model: str, *, linger: float) -> None:
        """Remove a version from every engine. Returns when its last requests have ended."""
        await asyncio.gather(*(self._change(connection, Unload(model, linger)) for connection in self._ready()))

    def changed(self, connection: Connection, change: Change) -> None:
        """A reply to Load or Unload. The engine's next status would say the same, but later."""
        model = change.model
        if connection.status is not None and not isinstance(change, NotLoaded):
            models = set(connection.status.models) - {model} | ({model} if isinstance(change, Loaded) else set())
            broken = {key: reason for key, reason in connection.status.broken.items() if key != model}
            connection.status = msgspec.structs.replace(connection.status, models=sorted(models), broken=broken)
            connection.models = frozenset(models)
        reply = self._engines[connection].changes.get((model, not isinstance(change, Unloaded)))
        if reply is not None and not reply.done():
            reply.set_result(change)

    def started(self, connection: Connection) -> None:
        """A new instance of an engine sent its first status."""
        engine = self._engines[connection]
        engine.started, engine.is_new = time.monotonic(), True

    def ended(self, connection: Connection) -> None:
        """An engine died, and the changes with it."""
        for reply in self._engines[connection].changes.values():
            if not reply.done():
                reply.set_result(None)

    def check(self, connection: Connection, status: Status) -> None:
        """Send Load and Unload where an engine differs from the desired versions: versions changed while it started."""
        if self._desired is None:
            return
        engine = self._engines[connection]
        changing = {model for model, _ in engine.changes}
        for model in self._desired.keys() - connection.models - status.broken.keys() - changing:
            connection.send(Load(model, self._desired[model]))
        if engine.is_new and time.monotonic() > engine.started + _SETTLE_SECONDS:
            engine.is_new = False
            for model in connection.models - self._desired.keys() - changing:
                connection.send(Unload(model, _SETTLE_SECONDS))

    def _ready(self) -> list[Connection]:
        return [
            connection
            for connection in self._engines
            if connection.status is not None and not self._is_gone(connection)
        ]

    def _is_gone(self, connection: Connection) -> bool:
        """Whether an engine leaves the service, or has left it."""
        return connection.is_leaving or connection not in self._engines

    async def _change(self, connection: Connection, message: Load | Unload) -> Change | None:
        if connection.status is None or self._is_gone(connection):  # it ended since the change began
            return None
        changes, key = self._engines[connection].changes, (message.model, isinstance(message, Load))
        reply = changes.get(key)
        if reply is None or reply.done():
            reply = changes[key] = asyncio.get_running_loop().create_future()
        connection.send(message)
        try:
            return await reply
        finally:
            if changes.get(key) is reply:
                del changes[key]
