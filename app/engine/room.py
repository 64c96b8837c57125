"""Memory for the models of an engine: which of them leave when another one needs room.

A model leaves only while it runs no request. The least recently used one is first. If those that run leave no room for
longer than a second, the least recently used of them start no further request, so that they can leave: no version
starves because others are busy.
"""

import logging

from app.engine.models import Models
from app.engine.scheduler import Scheduler

log = logging.getLogger("unroll.loading")
_PATIENCE_SECONDS = 1.0


class Room:
    """Counts what the models take, and makes them leave. A request for one that has left loads it again."""

    def __init__(self, models: Models, scheduler: Scheduler) -> None:
        self.evictions = 0
        self.is_short = False  # the version that was to be loaded last found no room
        self._models = models
        self._scheduler = scheduler
        self._short_for = ""  # this version
        self._short_since = 0.0
        self._recent: dict[str, None] = {}  # versions, the least recently used first
        self._asked: set[str] = set()  # models that are to leave, and start no request

    def use(self, key: str) -> None:
        """A request for a version has come, or it was loaded."""
        self._recent.pop(key, None)
        self._recent[key] = None

    def forget(self, key: str) -> None:
        """A version is not served any more."""
        self._recent.pop(key, None)
        self._asked.discard(key)

    def fits(self, needed: int) -> bool:
        """Whether there is room for `needed` bytes."""
        return self._models.bytes + needed <= self._models.memory

    def make(self, key: str, needed: int, *, now: float) -> bool:
        """Make room for a version. False: there is none yet. `now` is in seconds."""
        missing = self._models.bytes + needed - self._models.memory
        free = [key for key in self._loaded() if self._may_leave(key)]
        self.is_short = missing > sum(self._models[key].bytes for key in free)
        if not self.is_short:
            self._let_go(free, missing)
            self.ask_nobody()
        elif self._short_for != key:
            self._short_for, self._short_since = key, now
        elif now - self._short_since > _PATIENCE_SECONDS:
            self._ask(missing)
        return not self.is_short

    def trim(self) -> None:
        """Idle models leave if all together take too much: their rows grow, and explanations need float32 weights."""
        missing = self._models.bytes - self._models.memory
        self._let_go([key for key in self._loaded() if self._may_leave(key)], missing)

    def ask_nobody(self) -> None:
        """No version needs room: the models that were to leave go on."""
        self._short_for = ""
        for key in self._asked:
            self._scheduler.hold(key, held=False)
        self._asked.clear()

    def _loaded(self) -> list[str]:
        return [key for key in self._recent if key in self._models]

    def _may_leave(self, key: str) -> bool:
        if key in self._asked:
            return not self._scheduler.is_running(key)
        return self._scheduler.is_idle(key)

    def _let_go(self, keys: list[str], missing: int) -> None:
        for key in keys:
            if missing <= 0:
                return
            missing -= self._models[key].bytes
            self._asked.discard(key)
            self._models.unload(key)
            if self._scheduler.is_idle(key):
                self._scheduler.unregister(key)
            self.evictions += 1
            log.debug("%s left for another version", key)

    def _ask(self, missing: int) -> None:
        """Hold as many models as must leave, beside those that are held already."""
        missing -= sum(self._models[key].bytes for key in self._asked)
        for key in self._loaded():
            if missing <= 0:
                return
            if key not in self._asked:
                missing -= self._models[key].bytes
                self._asked.add(key)
                self._scheduler.hold(key)
