"""A task: a source kind, an answer kind, and a face, which is its appearance over HTTP.

Routes, OpenAPI, tensors, compatible interfaces, metrics and admission follow from these three. The tasks of the service
are in `app.tasks.registry`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidManifest
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerKind
from app.tasks.options import TaskOptions
from app.tasks.sources.source_kind import SourceKind


@dataclass(frozen=True)
class Face:
    """How a task appears over HTTP and in the OpenAPI document.

    `path` is its native route; `description` is Markdown; `inputs` describes the request, and `results` the response;
    `examples` are JSON bodies by name, each with a summary.
    """

    path: str
    summary: str
    description: str
    inputs: str
    results: str
    examples: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Task:
    """A task. `name` appears in manifests, metrics and logs; `options` are members of its requests."""

    name: str
    source: SourceKind[Any]
    answer: AnswerKind
    options: type[TaskOptions]
    face: Face

    @property
    def verb(self) -> str:
        """The last part of the path, such as `translate`: the name of the operation and of the client's method."""
        return self.face.path.rpartition("/")[2]

    @property
    def continues(self) -> bool:
        """Whether the answer continues the source, as a language model's does."""
        return self.source.continues

    def check(self, manifest: Manifest) -> None:
        """Raises InvalidManifest for a network of other kinds."""
        needed = (self.source.kind, self.answer.kind, self.continues)
        given = (manifest.source, manifest.answer, manifest.continues)
        if given != needed:
            raise InvalidManifest(f"the task {self.name} is {_words(*needed)}; this network is {_words(*given)}")


def _words(source: str, answer: str, continues: bool) -> str:
    return f"{source} to {answer}{', continuing the source' if continues else ''}"
