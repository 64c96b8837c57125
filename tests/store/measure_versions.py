"""Opens each version of a store as a front end and an engine do, and prints what each one cost: `python -m ... STORE`.

A process of its own, so that its memory is that of the versions. What all versions share is loaded first: the packages, and a
sound version of each kind.
"""

import json
import resource
import sys
import time
from pathlib import Path

import spacy
import torch

from app.engine.loading import failure
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
    before = _memory()
    for key, reason in listing.refused.items():
        _print(key, 0, before, reason)
    for key, folder in listing.folders.items():
        started = time.monotonic()
        opened = catalog.open(folder)
        models = Models(torch.device("cpu"), slots=4)
        reason = failure(key, lambda models=models, folder=folder: models.load(inspect_version(folder)))  # type: ignore[misc]
        words = opened.reason if isinstance(opened, BrokenVersion) else reason
        _print(key, time.monotonic() - started, before, words)


def _print(key: str, seconds: float, before: int, reason: str | None) -> None:
    print(json.dumps({"key": key, "seconds": seconds, "bytes": _memory() - before, "reason": reason}))


def _memory() -> int:
    """The most memory that this process has had, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
