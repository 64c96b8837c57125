"""The answer kind `state`: the hidden state that sums up a source, as numbers."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, SkipValidation

from app.engine.check import check_layer
from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Embed, Embedded, Terms
from app.json_pieces import AS_IT_IS, JsonArray
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.usage import Usage
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import Job, Output, ReadSource
from app.tasks.options import TaskOptions


class StateOptions(TaskOptions):
    """Which state is returned."""

    pooling: Literal["last", "mean", "max"] = Field(
        "last",
        description="The state after the last step, or the mean or the largest value of each unit over all steps.",
    )
    layer: Annotated[int, Field(ge=0, le=99)] | None = Field(
        None, description="The layer, counted from 0; the last one when left out."
    )
    normalize: bool = Field(False, description="Divide the numbers by their Euclidean norm, so that it is 1.")


class StateResult(BaseModel):
    """The state that sums up a source."""

    embedding: Annotated[list[float], SkipValidation, AS_IT_IS] = Field(
        description="A number for each unit of the layer; of two directions the forward ones are first."
    )
    model: str = Field(description="The model that answered.", examples=["lm-en"])
    version: int = Field(description="Its version.", examples=[1])
    state: str | None = Field(None, description="Only with `return_state`: the state, to continue from here.")


class StateAnswer(AnswerForm):
    """One result per input, in the same order."""

    results: list[StateResult]
    usage: Usage

    @property
    def has_pieces(self) -> bool:
        return True


class StateKind(AnswerKind):
    """The state of one layer of a recurrent encoder."""

    kind = "state"
    form = StateAnswer

    def given_by(self, manifest: Manifest, *, continues: bool) -> bool:
        """See `AnswerKind.given_by`. Every network with a recurrent encoder has states."""
        return manifest.architecture.encoder.kind != "image"

    def plan(self, entry: Entry, options: TaskOptions) -> Embed:
        """See `AnswerKind.plan`."""
        if not isinstance(options, StateOptions):
            return Embed()
        check_layer(entry.manifest, options.layer)
        return Embed(options.pooling, options.layer)

    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """See `AnswerKind.request`."""
        return plan

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> Output:
        """See `AnswerKind.answer`."""
        embedded = await client.answer(
            job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry
        )
        assert isinstance(embedded, Embedded)
        state = np.frombuffer(embedded.state.numbers, np.float32)
        if isinstance(job.options, StateOptions) and job.options.normalize:
            state = _normalized(state)
        manifest = job.entry.manifest
        embedding: Any = JsonArray(state.tolist())
        state_text = job.state(embedded.carried)
        return Output(
            StateResult.model_construct(
                embedding=embedding, model=manifest.name, version=manifest.version, state=state_text
            )
        )

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`."""
        encoder = manifest.architecture.encoder
        return (Column("embedding", "float32", (encoder.summary_size,)),)


def _normalized(state: NDArray[np.float32]) -> NDArray[np.float32]:
    """A state divided by its norm. The squares of large numbers of float32 fit float64 only."""
    norm = float(np.linalg.norm(state.astype(np.float64)))
    return (state / (norm or 1.0)).astype(np.float32)
