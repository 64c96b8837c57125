"""Versions built while the engine runs others: one thread beside the loop verifies, fills and packs them.

The loop, which owns the models, does only the warm-up of some milliseconds. See docs/adr/0018-versions-side-by-side.md.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from app.engine.faults import is_out_of_memory
from app.engine.loaded_model import LoadedModel
from app.engine.models import Models
from app.engine.policy import select
from app.errors import StoreError, printable
from app.store.model_store import inspect_version

log = logging.getLogger("unroll.loading")


class Failure(NamedTuple):
    """Why a version cannot be loaded, in words for the front end. If memory is lacking, the version may be valid."""

    reason: str
    lacks_memory: bool = False


class Build(NamedTuple):
    """The outcome of a build: `failure` is None on success; `seconds` count from its request."""

    key: str
    failure: Failure | None
    seconds: float


class Loading:
    """Builds versions one after another. A second request for a version that is being built starts no second build."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._thread = ThreadPoolExecutor(1, "loading", select, (models.device,))  # one thread reuses its heap
        self._builds: dict[str, Future[LoadedModel]] = {}
        self._requested: dict[str, float] = {}  # on the clock of `time.monotonic`

    def __bool__(self) -> bool:
        return bool(self._builds)

    def start(self, key: str, folder: str) -> None:
        """Build the version in `folder`."""
        if key not in self._builds:
            self._requested[key] = time.monotonic()
            self._builds[key] = self._thread.submit(self._build, Path(folder))

    def cancel(self, key: str) -> None:
        """Drop a build and its result."""
        self._builds.pop(key, None)
        self._requested.pop(key, None)

    def finished(self) -> Iterator[Build]:
        """Warm the finished builds and add them to the models."""
        for key, build in list(self._builds.items()):
            if build.done():
                del self._builds[key]
                failure = failure_of(key, partial(self._take, build))
                yield Build(key, failure, time.monotonic() - self._requested.pop(key))

    def load_now(self, key: str, folder: str) -> Build:
        """Build and warm a version before the loop runs."""
        started = time.monotonic()
        failure = failure_of(key, lambda: self._models.load(inspect_version(Path(folder))))
        return Build(key, failure, time.monotonic() - started)

    def stop(self) -> None:
        """Start no further build."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _take(self, build: Future[LoadedModel]) -> None:
        self._models.put(build.result())

    def _build(self, folder: Path) -> LoadedModel:
        return self._models.build(inspect_version(folder))


def failure_of(key: str, load: Callable[[], object]) -> Failure | None:
    """The failure of a load; None on success."""
    try:
        load()
    except StoreError as error:
        return Failure(error.detail)
    except Exception as error:
        log.exception("loading %s failed", key)
        reason = printable(f"loading failed: {type(error).__name__}: {error}")
        return Failure(reason, is_out_of_memory(error))
    return None
