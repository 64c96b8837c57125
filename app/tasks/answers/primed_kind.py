"""The answer kind `state`, as what later requests continue from: a source is read once, and used by many."""

from pydantic import BaseModel, Field

from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Embed, Embedded, Terms
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.usage import Usage
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import Job, Output, ReadSource
from app.tasks.options import TaskOptions


class PrimedResult(BaseModel):
    """A state to continue from."""

    state: str = Field(description="The state: send it as `state` of later requests.")
    model: str = Field(description="The model that read the source.", examples=["lm-en"])
    version: int = Field(description="Its version.", examples=[1])


class PrimedAnswer(AnswerForm):
    """One state per input, in the same order."""

    results: list[PrimedResult]
    usage: Usage


class PrimedKind(AnswerKind):
    """A state with all that the model's own answer needs."""

    kind = "state"
    form = PrimedAnswer
    keeps_states = True

    def given_by(self, manifest: Manifest, *, continues: bool) -> bool:
        """See `AnswerKind.given_by`. A model that cannot carry its state says why when it is named."""
        return manifest.architecture.encoder.kind != "image"

    def plan(self, entry: Entry, options: TaskOptions) -> Embed:
        """See `AnswerKind.plan`."""
        return Embed()

    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """See `AnswerKind.request`."""
        return plan

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> Output:
        """See `AnswerKind.answer`."""
        embedded = await client.answer(
            job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry
        )
        assert isinstance(embedded, Embedded)
        manifest = job.entry.manifest
        state = job.state(embedded.carried)
        assert state is not None  # see `keeps_states`
        return Output(PrimedResult(state=state, model=manifest.name, version=manifest.version))

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`."""
        return (Column("state", "text"),)
