"""The versions that one engine serves; it has some of them loaded.

A version is loaded at the start if it is a default version, when a request for it comes, or when a front end asks for
it. Idle ones leave for it (`app.engine.room`), and its requests wait in the scheduler. The reasons are in
docs/adr/0023-loaded-on-first-use.md.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from app.engine.loaded_model import LoadedModel
from app.engine.loading import Failure, Work, failure_of
from app.engine.models import Models
from app.engine.protocol import Change, Failed, Load, Loaded, NotLoaded, Unload, Unloaded
from app.engine.request import Output, Request
from app.engine.room import Room
from app.engine.scheduler import Scheduler
from app.engine.statistics import Statistics
from app.errors import ModelUnavailable
from app.store.manifest import Manifest
from app.store.model_store import Version

Reply = tuple[bytes, Change]  # to a front end
_START_SECONDS = 0.3  # for default versions before the engine is ready; the rest is loaded while it runs
_TRIM_SECONDS = 1.0


@dataclass(slots=True)
class _Unloading:
    """A version that is being unloaded: it accepts requests until `until`, on the clock of `time.monotonic`. `clients`
    wait for Unloaded; `loads` came in the meantime and are done afterwards."""

    until: float
    clients: list[bytes] = field(default_factory=list)
    loads: list[tuple[bytes, Load]] = field(default_factory=list)


class Versions:
    """Adds versions to the models, the scheduler and the statistics, and removes them. The requests that wait for a
    version are passed to `announce` before it is loaded: the engine may end with the load."""

    def __init__(
        self,
        models: Models,
        scheduler: Scheduler,
        statistics: Statistics,
        announce: Callable[[Sequence[Request]], None],
    ) -> None:
        self.broken: dict[str, str] = {}
        self._models = models
        self._scheduler = scheduler
        self._statistics = statistics
        self._announce = announce
        self._room = Room(models, scheduler)
        self._served: dict[str, Version] = {}
        self._building, self._checking = (Work(name, models.device) for name in ("loading", "checking"))
        self._defaults: deque[list[str]] = deque()  # of each name whose default version is to be loaded, by rank
        self._unchecked: deque[str] = deque()
        self._opening: dict[str, str] = {}  # folders of versions that front ends load
        self._loaders: dict[str, list[bytes]] = {}  # these front ends
        self._new: set[str] = set()  # versions that they load, and that were not served before
        self._demand: dict[str, float] = {}  # since when a version is needed, in order
        self._unloading: dict[str, _Unloading] = {}
        self._next_trim = 0.0

    @property
    def served(self) -> list[str]:
        """The versions whose requests are accepted."""
        return sorted(key for key in self._served if key not in self.broken and key not in self._new)

    @property
    def loading(self) -> list[str]:
        """The versions that are being loaded or wait for it."""
        return sorted({*self._demand, *self._loaders} | ({self._building.key} - {""}))

    @property
    def evictions(self) -> int:
        """How often a version has left for another one."""
        return self._room.evictions

    @property
    def are_changing(self) -> bool:
        return bool(
            self._building.is_busy or self._checking.is_busy or self._unloading or self._opening or self._demand
        )

    def begin(self, folders: Mapping[str, str], defaults: Mapping[str, int]) -> None:
        """Serve the folders of versions, by `name/version`, and load `defaults` of names, or else the newest, before
        the loop runs."""
        for key, folder in folders.items():
            failure = failure_of(key, partial(self._open, key, folder))
            if failure is not None:
                self._fail(key, failure)
        self._defaults = deque(_ranked([version.manifest for version in self._served.values()], defaults))
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and (default := self._next_default()):
            started = time.monotonic()
            failure = failure_of(default, partial(self._models.load, self._served[default]))
            if failure is None:
                self._register(default, time.monotonic() - started)
            else:
                self._fail(default, failure)
        self._unchecked = deque(key for key in self.served if key not in self._models)

    def manifest(self, key: str, *, was_accepted: bool = False) -> Manifest:
        """The manifest of a version that accepts requests; one that is being unloaded accepts those that another engine
        had accepted. Raises ModelUnavailable."""
        unloading = self._unloading.get(key)
        if unloading is not None and time.monotonic() >= unloading.until and not was_accepted:
            raise ModelUnavailable(f"{key} is being unloaded; choose another version")
        if key in self.broken:
            raise ModelUnavailable(f"{key} cannot be used: {self.broken[key]}")
        if key not in self._served:
            raise ModelUnavailable(f"{key} is not served; choose another version")
        return self._served[key].manifest

    def use(self, key: str) -> None:
        """A request for a version comes next. It waits while the version is not loaded."""
        self._room.use(key)
        if key not in self._models:
            self._scheduler.hold(key)

    def why_not_loaded(self, key: str) -> str:
        """Why a request waited in vain for its version."""
        why = "loading it takes longer"
        if self._room.is_short:
            why = f"those in use leave it no room in the {self._models.memory:,} bytes for models (models_memory)"
        return f"{key} was not loaded before the deadline: {why}; retry later, or set a longer timeout"

    def load(self, client: bytes, load: Load) -> list[Reply]:
        """Start to load a version; `advance` has the reply unless it is here."""
        key = load.model
        if key in self._unloading:
            loads = self._unloading[key].loads
            if (client, load) not in loads:
                loads.append((client, load))
            return []
        if key in self._models:
            return [(client, Loaded(key))]
        if client in self._loaders.get(key, ()):  # it asks again after each status, until it has the reply
            return []
        self._loaders.setdefault(key, []).append(client)
        if key not in self._served:
            self._new.add(key)
        if self._building.key != key:
            self._opening[key] = load.folder
        return []

    def unload(self, client: bytes, unload: Unload) -> list[Reply]:
        """Start to unload a version, or stop loading it; `advance` has the reply if it is served."""
        key = unload.model
        self._opening.pop(key, None)
        reason = "it was unloaded while it was being loaded"
        replies: list[Reply] = [(loader, NotLoaded(key, reason)) for loader in self._loaders.pop(key, [])]
        if key not in self._served:
            self._forget(key)
            return [*replies, (client, Unloaded(key))]
        unloading = self._unloading.setdefault(key, _Unloading(time.monotonic() + unload.linger))
        replies += [(loader, NotLoaded(key, reason)) for loader, _ in unloading.loads]
        unloading.loads.clear()
        unloading.clients.append(client)
        return replies

    def advance(self) -> tuple[list[Reply], list[Output]]:
        """Add the version whose build ended, start to load the next one, and remove those that are unloaded and idle.
        The outputs are of requests whose version cannot be loaded."""
        replies: list[Reply] = []
        outputs: list[Output] = []
        failed: set[str] = set()
        now = time.monotonic()
        for work in (self._building, self._checking):
            if not work.is_done:
                continue
            key, was_loaded = work.key, work.key in self._models
            failure = failure_of(key, partial(self._take, key, work))
            if not key or was_loaded or key in failed:  # the result is not needed any more
                continue
            if failure is not None:
                outputs += self._outputs(key, failure)
                replies += self._fail(key, failure)
                failed.add(key)
            elif key in self._models:
                self._register(key, now - self._demand.pop(key, work.started))
                replies += [(client, Loaded(key)) for client in self._loaders.pop(key, [])]
        self._start_work(now, failed)
        for key, unloading in list(self._unloading.items()):
            if now >= unloading.until and self._scheduler.is_idle(key):
                replies += self._remove(key, unloading)
        if now >= self._next_trim:
            self._next_trim = now + _TRIM_SECONDS
            self._room.trim()
        return replies, outputs

    def stop(self) -> None:
        """Start no further load."""
        self._building.stop()
        self._checking.stop()

    def _start_work(self, now: float, failed: Collection[str]) -> None:
        """Load what is needed, in order: nothing passes a version that finds no room, or it would starve. Requests for
        versions that `failed` in this turn are still here, and about to fail."""
        if not self._building.is_busy and (key := self._next_needed(now, failed)):
            if key in self._opening:
                self._building.start(key, partial(self._models.open, Path(self._opening.pop(key))))
            elif self._room.make(key, self._needed_by(key), now=now):
                self._announce(self._scheduler.requests_of(key))
                self._building.start(key, partial(self._models.build, self._served[key]))
        elif not self._building.is_busy:
            self._room.ask_nobody()
            if key := self._next_default():
                self._building.start(key, partial(self._models.build, self._served[key]))
        while self._unchecked and not self._checking.is_busy:
            key = self._unchecked.popleft()
            if key in self._served and key not in self._models and key not in self.broken:
                self._checking.start(key, partial(self._models.check, self._served[key]))

    def _next_needed(self, now: float, failed: Collection[str]) -> str | None:
        """The version that front ends or requests have waited for longest."""
        wanted = [key for key in self._scheduler.models if key not in self._models and key not in failed]
        needed = dict.fromkeys((*self._loaders, *wanted))
        if needed or self._demand:
            self._demand = {key: since for key, since in self._demand.items() if key in needed}
            self._demand |= {key: now for key in needed if key not in self._demand}
        return next(iter(self._demand), None)

    def _next_default(self) -> str | None:
        """The next default version that is to be loaded and fits; that of a name whose default version is broken is
        the next one of its rank."""
        while self._defaults:
            ranked = [key for key in self._defaults[0] if key in self._served and key not in self.broken]
            if ranked and ranked[0] not in self._models and self._room.fits(self._needed_by(ranked[0])):
                return ranked[0]
            self._defaults.popleft()
        return None

    def _needed_by(self, key: str) -> int:
        return self._models.needed_bytes(self._served[key])

    def _open(self, key: str, folder: str) -> None:
        self._served[key] = self._models.open(Path(folder))

    def _take(self, key: str, work: Work) -> None:
        found = work.take()
        if key and isinstance(found, Version):
            self._served[key] = found
        elif key and isinstance(found, LoadedModel):
            self._models.put(found)

    def _register(self, key: str, seconds: float) -> None:
        model = self._models[key]
        self._statistics.loaded(key, seconds)
        self._scheduler.register(key, divisible=model.is_divisible, step=model.step, padded=model.padded_steps)
        self._room.use(key)
        self._new.discard(key)
        self.broken.pop(key, None)

    def _fail(self, key: str, failure: Failure) -> list[Reply]:
        """Note that a version cannot be loaded. Unless the version is the cause, the next request tries it again; one
        that is new and lacks memory is not served."""
        self._statistics.load_failed()
        loaders = self._loaders.pop(key, [])
        self._opening.pop(key, None)
        self._demand.pop(key, None)
        if failure.cause == "version" or (failure.cause == "memory" and key in self._new):
            self.broken[key] = failure.reason
        if failure.cause == "memory":
            self._defaults.clear()
        self._defaults = deque(ranked for ranked in self._defaults if failure.cause == "version" or key not in ranked)
        return [(client, NotLoaded(key, *failure)) for client in loaders]

    def _outputs(self, key: str, failure: Failure) -> list[Output]:
        reason = f"{key} cannot be loaded: {failure.reason}"
        is_broken = failure.cause == "version"
        return [
            (request, Failed(request.key[1], reason, gone=is_broken, not_loaded=not is_broken))
            for request in self._scheduler.requests_of(key)
        ]

    def _remove(self, key: str, unloading: _Unloading) -> list[Reply]:
        del self._unloading[key]
        self._scheduler.unregister(key)
        if key in self._models:
            self._models.unload(key)
        self._statistics.unloaded(key)
        self._forget(key)
        replies: list[Reply] = [(client, Unloaded(key)) for client in unloading.clients]
        for client, load in unloading.loads:
            replies += self.load(client, load)
        return replies

    def _forget(self, key: str) -> None:
        self._served.pop(key, None)
        self._new.discard(key)
        self.broken.pop(key, None)
        self._room.forget(key)
        self._building.cancel(key)
        self._checking.cancel(key)


def _ranked(manifests: list[Manifest], defaults: Mapping[str, int]) -> list[list[str]]:
    """The versions of each name, the default version first, then the newest. Names that answer requests without a name
    are first."""
    names: dict[str, list[Manifest]] = {}
    for manifest in sorted(manifests, key=lambda one: (one.version != defaults.get(one.name), -one.version)):
        names.setdefault(manifest.name, []).append(manifest)
    ordered = sorted(names.values(), key=lambda versions: (not versions[0].default, versions[0].name))
    return [[manifest.key for manifest in versions] for versions in ordered]
