"""The versions of one engine: loaded at its start, and loaded and unloaded while it runs others."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.engine.loaded_model import LoadedModel
from app.engine.loading import Build, Loading
from app.engine.models import Models
from app.engine.protocol import Change, Load, Loaded, NotLoaded, Unload, Unloaded
from app.engine.scheduler import Scheduler
from app.engine.statistics import Statistics
from app.errors import ModelUnavailable

Reply = tuple[bytes, Change]  # to a front end


@dataclass(slots=True)
class _Unloading:
    """A version that is being unloaded: it accepts requests until `until`, on the clock of `time.monotonic`. `clients`
    wait for Unloaded; `loads` came in the meantime and are done afterwards."""

    until: float
    clients: list[bytes] = field(default_factory=list)
    loads: list[tuple[bytes, Load]] = field(default_factory=list)


class Versions:
    """Adds versions to the models, the scheduler and the statistics, and removes them."""

    def __init__(self, models: Models, scheduler: Scheduler, statistics: Statistics) -> None:
        self.broken: dict[str, str] = {}
        self._models = models
        self._scheduler = scheduler
        self._statistics = statistics
        self._loading = Loading(models)
        self._waiting: dict[str, list[bytes]] = {}  # front ends by the version that they load
        self._unloading: dict[str, _Unloading] = {}

    @property
    def are_changing(self) -> bool:
        return bool(self._loading or self._unloading)

    def load_all(self, folders: Mapping[str, str]) -> None:
        """Load the folders of versions, by `name/version`, before the loop runs."""
        for key, folder in folders.items():
            self._register(self._loading.load_now(key, folder))

    def model(self, key: str, *, was_accepted: bool = False) -> LoadedModel:
        """A model that accepts requests; one that is being unloaded accepts those that another engine had accepted.
        Raises ModelUnavailable."""
        unloading = self._unloading.get(key)
        if unloading is not None and time.monotonic() >= unloading.until and not was_accepted:
            raise ModelUnavailable(f"{key} is being unloaded; choose another version")
        if key not in self._models:
            raise ModelUnavailable(f"{key} is not loaded; choose another version")
        return self._models[key]

    def load(self, client: bytes, load: Load) -> list[Reply]:
        """Start to load a version; `advance` has the reply unless it is here."""
        key = load.model
        if key in self._unloading:
            self._unloading[key].loads.append((client, load))
            return []
        if key in self._models:
            return [(client, Loaded(key))]
        self._waiting.setdefault(key, []).append(client)
        self._loading.start(key, load.folder)
        return []

    def unload(self, client: bytes, unload: Unload) -> list[Reply]:
        """Start to unload a version, or stop loading it; `advance` has the reply if it is loaded."""
        key = unload.model
        self.broken.pop(key, None)
        self._loading.cancel(key)
        reason = "it was unloaded while it was being loaded"
        replies: list[Reply] = [(loader, NotLoaded(key, reason)) for loader in self._waiting.pop(key, [])]
        if key not in self._models:
            return [*replies, (client, Unloaded(key))]
        unloading = self._unloading.setdefault(key, _Unloading(time.monotonic() + unload.linger))
        replies += [(loader, NotLoaded(key, reason)) for loader, _ in unloading.loads]
        unloading.loads.clear()
        unloading.clients.append(client)
        return replies

    def advance(self) -> list[Reply]:
        """Add the versions whose build ended, and remove those that are unloaded and idle."""
        replies: list[Reply] = []
        if self._loading:
            for build in self._loading.finished():
                self._register(build)
                change = Loaded(build.key) if build.failure is None else NotLoaded(build.key, *build.failure)
                replies += [(client, change) for client in self._waiting.pop(build.key, [])]
        if self._unloading:
            now = time.monotonic()
            for key, unloading in list(self._unloading.items()):
                if now >= unloading.until and self._scheduler.is_idle(key):
                    replies += self._remove(key, unloading)
        return replies

    def stop(self) -> None:
        """Start no further load."""
        self._loading.stop()

    def _register(self, build: Build) -> None:
        if build.failure is not None:
            self._statistics.load_failed()
            self.broken[build.key] = build.failure.reason
            return
        model = self._models[build.key]
        self._statistics.loaded(build.key, build.seconds)
        self._scheduler.register(build.key, divisible=model.is_divisible, padded=model.padded_steps)
        self.broken.pop(build.key, None)

    def _remove(self, key: str, unloading: _Unloading) -> list[Reply]:
        del self._unloading[key]
        self._scheduler.unregister(key)
        self._models.unload(key)
        self._statistics.unloaded(key)
        replies: list[Reply] = [(client, Unloaded(key)) for client in unloading.clients]
        for client, load in unloading.loads:
            replies += self.load(client, load)
        return replies
