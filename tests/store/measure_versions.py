"""Opens each version of a store as a front end and an engine do, and prints what each one cost: `python -m ... STORE`.

A process of its own, so that its memory is that of the versions. What all versions share is loaded first: the packages,
and a sound version of each kind.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path

import spacy
import torch

from app.engine.loading import failure_of
from app.engine.models import Models
from app.store.listing import list_store
from app.store.model_store import BrokenVersion, inspect_version
from app.tasks.catalog import Catalog
from app.tasks.registry import CHECKS


def main() -> None:
    torch.set_num_threads(1)
    store = Path(sys.argv[1])
    listing, catalog = list_store(store), Catalog(CHECKS)
    for name in sorted({folder.parent.name for folder in listing.folders.values()}):
        Models(torch.device("cpu"), slots=4).load(inspect_version(store / name / "1"))
        catalog.open(store / name / "1")
    spacy.blank("en")
    for key, reason in listing.refused.items():
        _print(key, 0, 0, 0, reason)
    for key, folder in listing.folders.items():
        _forget_peak()
        before, started, worked = _memory("VmRSS"), time.monotonic(), time.process_time()
        opened = catalog.open(folder)
        models = Models(torch.device("cpu"), slots=4)
        of_engine = failure_of(key, partial(_load, models, folder))
        words = opened.reason if isinstance(opened, BrokenVersion) else of_engine and of_engine.reason
        _print(key, time.monotonic() - started, time.process_time() - worked, _memory("VmHWM") - before, words)


def _load(models: Models, folder: Path) -> None:
    models.load(inspect_version(folder))


def _print(key: str, seconds: float, work: float, size: int, reason: str | None) -> None:
    """`work` is processor time."""
    print(json.dumps({"key": key, "seconds": seconds, "work": work, "bytes": size, "reason": reason}))


def _forget_peak() -> None:
    """Let the kernel count the peak of this process' memory (VmHWM) from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(name: str) -> int:
    """A figure of this process' memory, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
