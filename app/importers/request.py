"""The request of an import: what the user gives."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import ImportFailed
from app.importers.vocabularies import Role
from app.store.description import TaskName
from app.store.names import NAME_IN_WORDS, is_model_name

_LANGUAGE = re.compile("[a-z]{2,3}")


@dataclass(frozen=True)
class ImportRequest:
    """The options of `unroll import`. `labels` are names, or None where a file or the checkpoint has them; `scalers`
    are files or numbers in words, with the columns that they scale (`features`, `targets`) or None. Raises ImportFailed
    for a name or a language that no model can have."""

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

    def __post_init__(self) -> None:
        if not is_model_name(self.name):
            raise ImportFailed(f"the name {self.name!r} cannot be that of a model: a name has {NAME_IN_WORDS}")
        for language in self.languages:
            if language is not None and not _LANGUAGE.fullmatch(language):
                given = ",".join(one or "" for one in self.languages)
                raise ImportFailed(
                    f"languages {given}: a language has two or three small letters, and a model has at most two, its "
                    "source and its target: en,ko; or one of them: de, or ,en"
                )
