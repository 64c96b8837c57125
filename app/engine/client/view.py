"""The engines as a front end sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.engine.client.connection import Connection
from app.engine.protocol import Status


@dataclass(frozen=True)
class EngineView:
    """All engines together, except leaving ones: statuses of the ready ones and their `places` in order, the expected
    `count`, the models that they serve or cannot load (`broken`), the number types of each loaded one, those in
    `loading`, and whether any engine has ever been ready, and all of them at one time."""

    ready: tuple[Status, ...]
    count: int
    broken: dict[str, str] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    precisions: dict[str, str] = field(default_factory=dict)
    any_started: bool = False
    all_started: bool = False
    places: tuple[int, ...] = ()
    loading: frozenset[str] = frozenset()

    def state_of(self, model: str) -> Literal["loaded", "loading", "available"]:
        """Whether an engine has a served model loaded, loads it, or will load it for its next request."""
        return "loaded" if model in self.precisions else "loading" if model in self.loading else "available"

    @property
    def restarts(self) -> int:
        """Restarts of the ready engines."""
        return sum(int(status.counters.get("restarts", 0)) for status in self.ready)

    @property
    def is_ready(self) -> bool:
        """Every engine of the start has been ready, and one is now."""
        return bool(self.ready) and self.all_started


def view_of(connections: Sequence[Connection], before: EngineView) -> EngineView:
    """The view after a message from an engine, its end, or a change of the engines. `before` is the last one."""
    staying = [connection for connection in connections if not connection.is_leaving]
    ready = tuple(connection.status for connection in staying if connection.status is not None)
    started = [bool(connection.instance) for connection in staying]
    return EngineView(
        ready,
        len(staying),
        {key: reason for status in ready for key, reason in status.broken.items()},
        frozenset(key for status in ready for key in status.models),
        {key: words for status in ready for key, words in status.precisions.items()},
        before.any_started or any(started),
        before.all_started or all(started),
        tuple(connection.place for connection in staying if connection.status is not None),
        frozenset(key for status in ready for key in status.loading),
    )
