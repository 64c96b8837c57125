"""Work on versions beside the engine's loop: a thread reads, verifies, fills and packs them, one at a time.

The loop, which owns the models, does only the warm-up of some milliseconds. See docs/adr/0018-versions-side-by-side.md.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch

from app.engine.faults import is_out_of_memory
from app.engine.loaded_model import LoadedModel
from app.engine.policy import select
from app.engine.protocol import Cause
from app.errors import FileUnreadable, StoreError, printable
from app.store.model_store import Version

log = logging.getLogger("unroll.loading")
Found = Version | LoadedModel | None  # an opened version, a built one, or the end of a check


class Failure(NamedTuple):
    """Why a version cannot be loaded, in words for the front end, and whether the version itself is the cause."""

    reason: str
    cause: Cause = "version"


class Work:
    """The work of one thread, if any, and its result. `key` is the version that it is for."""

    def __init__(self, name: str, device: torch.device) -> None:
        self._thread = ThreadPoolExecutor(1, name, select, (device,))  # one thread reuses its heap
        self._result: Future[Found] | None = None
        self.key = ""
        self.started = 0.0  # on the clock of `time.monotonic`

    def start(self, key: str, work: Callable[[], Found]) -> None:
        """Begin to work on a version."""
        assert self._result is None
        self.key, self.started = key, time.monotonic()
        self._result = self._thread.submit(work)

    def cancel(self, key: str) -> None:
        """The result of the work on this version is not needed any more."""
        if self.key == key:
            self.key = ""

    @property
    def is_busy(self) -> bool:
        """Whether no other work can start before `take`."""
        return self._result is not None

    @property
    def is_done(self) -> bool:
        """Whether there is a result to `take`."""
        return self._result is not None and self._result.done()

    def take(self) -> Found:
        """The result. Raises what the work raised."""
        result, self.key, self._result = self._result, "", None
        assert result is not None
        return result.result()

    def stop(self) -> None:
        """Start no further work."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def failure_of(key: str, load: Callable[[], object]) -> Failure | None:
    """The failure of a load; None on success."""
    try:
        load()
    except FileUnreadable as error:
        log.warning("loading %s failed: %s", key, error.detail)
        return Failure(error.detail, "reading")
    except StoreError as error:
        return Failure(error.detail)
    except Exception as error:
        log.exception("loading %s failed", key)
        reason = printable(f"loading failed: {type(error).__name__}: {error}")
        cause: Cause = "reading" if isinstance(error, OSError) else "version"
        return Failure(reason, "memory" if is_out_of_memory(error) else cause)
    return None
