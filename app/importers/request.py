"""The request of an import: what the user gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.importers.vocabularies import Role
from app.store.description import TaskName


@dataclass(frozen=True)
class ImportRequest:
    """The options of `unroll import`. `labels` are names, or None where a file or the checkpoint has them; `scalers`
    are files or numbers in words, with the columns that they scale (`features`, `targets`) or None."""

    name: str
    checkpoints: Sequence[Path]
    vocabularies: Sequence[tuple[Role | None, Path]] = ()
    layout: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    accept_usual: bool = False
    labels: Sequence[str] = ()
    features: Sequence[str] = ()
    targets: Sequence[str] = ()
    scalers: Sequence[tuple[str | None, str]] = ()
    task: TaskName | None = None
    default: bool = False
    version: int = 1
    languages: tuple[str | None, str | None] = (None, None)
    licence: str = "unknown"
