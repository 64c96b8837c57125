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
from app.tasks.catalog import Selection
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
    """A task. `name` appears in manifests, metrics and logs; `options` are members of its requests. With `any_model` it
    also takes the models of other tasks whose networks have its kinds."""

    name: str
    source: SourceKind[Any]
    answer: AnswerKind
    options: type[TaskOptions]
    face: Face
    any_model: bool = False

    @property
    def verb(self) -> str:
        """The last part of the path, such as `translate`: the name of the operation and of the client's method."""
        return self.face.path.rpartition("/")[2]

    @property
    def continues(self) -> bool:
        """Whether the answer continues the source, as a language model's does."""
        return self.source.continues

    @property
    def selection(self) -> Selection:
        """The models that its requests may name."""
        return Selection(self.name, f"{self.name} model", self.takes)

    def takes(self, manifest: Manifest) -> bool:
        """Whether a model answers its requests."""
        return manifest.task == self.name or (self.any_model and self._fits(manifest))

    def check(self, manifest: Manifest) -> None:
        """Raises InvalidManifest for a network of other kinds."""
        if not self._fits(manifest):
            needed = _words(" or ".join(self.source.kinds), self.answer.kind, self.continues)
            given = _words(manifest.source, manifest.answer, manifest.continues)
            raise InvalidManifest(f"the task {self.name} is {needed}; this network is {given}")

    def _fits(self, manifest: Manifest) -> bool:
        return manifest.source in self.source.kinds and self.answer.given_by(manifest, continues=self.continues)


def _words(source: str, answer: str, continues: bool) -> str:
    return f"{source} to {answer}{', continuing the source' if continues else ''}"
