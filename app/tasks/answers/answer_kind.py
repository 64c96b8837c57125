"""An answer kind: the engine request for an input, and the way from engine events to a result."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Terms
from app.json_pieces import blocks_of, json_pieces
from app.store.description import AnswerName
from app.store.manifest import Manifest
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.usage import usage_of
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.concurrently import concurrently
from app.tasks.job import Job, Output, ReadSource
from app.tasks.options import TaskOptions


class AnswerForm(BaseModel):
    """Base of response bodies: `results`, one per input in the same order, and `usage`."""

    @classmethod
    def of(cls, jobs: Sequence[Job], outputs: Sequence[Output]) -> "AnswerForm":
        """The body for all inputs of a request."""
        return cls(results=[output.result for output in outputs], usage=usage_of(jobs, outputs))

    @property
    def has_pieces(self) -> bool:
        """Whether it has members that become JSON piece by piece."""
        return False

    async def encoded(self) -> list[bytes]:
        """The body in JSON, in blocks, without members that are None."""
        if self.has_pieces:
            return await blocks_of(json_pieces(self.model_dump(exclude_none=True)))
        return [self.model_dump_json(exclude_none=True).encode()]


class AnswerKind(ABC):
    """A kind of answer. `form` is the HTTP response body."""

    kind: ClassVar[AnswerName]
    form: type[AnswerForm]
    keeps_states: ClassVar[bool] = False  # whether each answer has the state that a later request continues from

    def given_by(self, manifest: Manifest, *, continues: bool) -> bool:
        """Whether a network gives such answers, which continue the source or not."""
        return manifest.answer == self.kind and manifest.continues == continues

    @abstractmethod
    def plan(self, entry: Entry, options: TaskOptions) -> AnswerSpec:
        """The engine request for all inputs of a version. Raises ContradictoryOptions or InputTooLong."""

    @abstractmethod
    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """The engine request for input `index`, from the `plan`. Raises ContradictoryOptions or InputTooLong."""

    def check(  # noqa: B027 - most kinds have no such limit
        self, jobs: Sequence[Job], options: TaskOptions, limits: AnswerLimits
    ) -> None:
        """Check all jobs of a request together. Raises InputTooLong or ContradictoryOptions."""

    def needs_pieces(self, options: TaskOptions) -> bool:
        """Whether the answer shows tokens of the source."""
        return False

    def later_steps(self, job: Job) -> int:
        """Expected cell steps of what follows the engine request of a job."""
        return 0

    @abstractmethod
    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> Output:
        """Answer one input."""

    async def answer_all(self, client: EngineClient, jobs: Sequence[Job], terms: Terms) -> list[Output]:
        """Answer the inputs of a request, in order. The first failure cancels the others and is raised."""
        return await concurrently([self.answer(client, job, terms) for job in jobs])

    def streams(self, options: TaskOptions) -> bool:
        """Whether the request asks for events while the answer is decoded."""
        return False

    def stream(self, client: EngineClient, job: Job, terms: Terms) -> AsyncGenerator[Any, None]:
        """Deltas as they come; the last item is the Output."""
        raise AssertionError(f"answers of the kind {self.kind} do not stream")

    @abstractmethod
    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """The members of a result for interfaces of tensors."""

    def scores(self, result: BaseModel) -> Mapping[str, float]:
        """The probability of each label, for answers of the kind label."""
        raise AssertionError(f"answers of the kind {self.kind} have no labels")
