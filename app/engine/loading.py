"""Versions that are built while the engine runs others: checked, filled and packed in one thread beside its loop.

Only the warming, some milliseconds, is left to the loop, which owns the models. See
docs/adr/0018-versions-side-by-side.md.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from app.engine.runner import LoadedModel, Runner
from app.errors import StoreError
from app.store.model_store import open_version

log = logging.getLogger("unroll.loading")


class Loading:
    """Builds versions one after another. A name that is asked for while it is being built is built once."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._thread = ThreadPoolExecutor(1, "loading")  # one, so that its heap is used again and again
        self._builds: dict[str, Future[LoadedModel]] = {}
        self._asked: dict[str, float] = {}  # when, on the clock of `time.monotonic`

    def __bool__(self) -> bool:
        return bool(self._builds)

    def begin(self, key: str, folder: str) -> None:
        """Build the version in `folder`."""
        if key not in self._builds:
            self._asked[key] = time.monotonic()
            self._builds[key] = self._thread.submit(self._build, Path(folder))

    def forget(self, key: str) -> None:
        """Nobody wants it any more; what was built of it is thrown away."""
        self._builds.pop(key, None)
        self._asked.pop(key, None)

    def finished(self) -> Iterator[tuple[str, str | None, float]]:
        """Take what is built among the runner's models, warm: each key, the reason if it could not be done, and the
        seconds since it was asked for."""
        for key, build in list(self._builds.items()):
            if build.done():
                del self._builds[key]
                reason = reason_of(key, partial(self._take, build))
                yield key, reason, time.monotonic() - self._asked.pop(key)

    def _take(self, build: Future[LoadedModel]) -> None:
        self._runner.put(build.result())

    def stop(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _build(self, folder: Path) -> LoadedModel:
        return self._runner.build(open_version(folder))


def reason_of(key: str, load: Callable[[], object]) -> str | None:
    """Why loading failed, in words for the front end; None if it did not."""
    try:
        load()
    except StoreError as error:
        return error.detail
    except Exception as error:
        log.exception("loading %s failed", key)
        return f"loading failed: {error}"
    return None
