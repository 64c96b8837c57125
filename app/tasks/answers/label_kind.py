"""The answer kind `label`: one distribution over the labels of a model, with an explanation on request."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from app.engine.check import check_explained
from app.engine.client import Asked, EngineClient
from app.engine.cost import read_anew
from app.engine.protocol import AnswerSpec, Explain, Label, Labelled, Terms
from app.errors import InputTooLong
from app.store.classifier import Classifier
from app.store.encoders import RecurrentEncoder
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.explanations import check_numbers, explained_numbers, explanation_members
from app.tasks.answers.label_results import LabelResult
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.usage import Usage
from app.tasks.catalog import Entry
from app.tasks.columns import Column
from app.tasks.job import Job, Output, ReadSource
from app.tasks.options import TaskOptions
from app.turns import Pauses

MOST_EXPLAINED = 1024  # steps of a source of which one pass labels all
MOST_READ_ANEW = 128  # of one that is read anew for each


class LabelOptions(TaskOptions):
    """How labels are explained."""

    explain: bool = Field(
        False,
        description="Add `explanation`: the probability of each label after each token, row of a series or frame.",
    )
    layer: Annotated[int, Field(ge=0, le=99)] | None = Field(
        None, description="With `explain`: add hidden states, cells and gates of this layer, counted from 0."
    )
    units: Annotated[int, Field(ge=1, le=65_536)] | None = Field(
        None,
        description="With `layer`: return this number of units, those whose hidden state changes most. "
        "By default all units.",
    )

    @model_validator(mode="after")
    def _layer_is_explained(self) -> Self:
        if self.layer is not None and not self.explain:
            raise PydanticCustomError("layer", "layer needs an explanation; set explain to true as well")
        if self.units is not None and self.layer is None:
            raise PydanticCustomError("units", "units needs a layer; name it in 'layer' as well")
        return self


class LabelForm(AnswerForm):
    """Base of answers with labels."""

    results: list[Any]

    @property
    def has_pieces(self) -> bool:
        return any(result.explanation is not None for result in self.results)


class LabelAnswer(LabelForm):
    """One result per input, in the same order."""

    results: list[LabelResult]
    usage: Usage


class LabelKind(AnswerKind):
    """A label, with the probability of each. A task may add numbers that follow from the probabilities: `numbers` are
    their names, and `measure` returns their values."""

    kind = "label"
    form: type[AnswerForm] = LabelAnswer
    result: type[LabelResult] = LabelResult
    numbers: tuple[str, ...] = ()

    def measure(self, scores: Mapping[str, float]) -> dict[str, float]:
        """The added numbers by name, from the probability of each label."""
        return {}

    def plan(self, entry: Entry, options: TaskOptions) -> Label:
        """See `AnswerKind.plan`."""
        if not isinstance(options, LabelOptions) or not options.explain:
            return Label()
        check_explained(entry.manifest, options.layer)
        return Label(Explain(options.layer, options.units))

    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """See `AnswerKind.request`."""
        assert isinstance(plan, Label)
        if plan.explain is not None:
            _check_explained(entry.manifest, read, index)
        return plan

    def check(self, jobs: Sequence[Job], options: TaskOptions, limits: AnswerLimits) -> None:
        """See `AnswerKind.check`."""
        if not isinstance(options, LabelOptions) or not options.explain:
            return
        sizes = [explained_numbers(job, options.layer, options.units) for job in jobs]
        check_numbers(sum(sizes), limits, has_units=options.layer is not None)

    def needs_pieces(self, options: TaskOptions) -> bool:
        """See `AnswerKind.needs_pieces`."""
        return isinstance(options, LabelOptions) and options.explain

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> Output:
        """See `AnswerKind.answer`."""
        labelled = await client.answer(
            job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry
        )
        assert isinstance(labelled, Labelled)
        return self._output(job, labelled)

    async def answer_all(self, client: EngineClient, jobs: Sequence[Job], terms: Terms) -> list[Output]:
        """See `AnswerKind.answer_all`: without a task for each input, since a text costs little more than that."""
        if len(jobs) == 1:
            return [await self.answer(client, jobs[0], terms)]
        asked = [Asked(job.key, job.read.source, job.request, job.cost, job.read.carry) for job in jobs]
        outputs: list[Output] = []
        answers = await client.answer_all(asked, terms)
        pauses = Pauses()
        for job, answer in zip(jobs, answers, strict=True):
            assert isinstance(answer, Labelled)
            outputs.append(self._output(job, answer))
            await pauses.pause()
        return outputs

    def _output(self, job: Job, labelled: Labelled) -> Output:
        manifest = job.entry.manifest
        scores = dict(zip(manifest.labels, labelled.scores, strict=True))
        label = max(scores, key=scores.__getitem__)
        members: dict[str, Any] = self.measure(scores)
        explanation = labelled.explanation
        if explanation is not None:
            assert isinstance(job.options, LabelOptions)
            members["explanation"] = explanation_members(job, explanation, job.options.layer, job.options.units)
        return Output(
            self.result(
                label=label,
                score=scores[label],
                scores=scores,
                model=manifest.name,
                version=manifest.version,
                state=job.state(labelled.carried),
                **members,
            )
        )

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`."""
        numbers = (Column(name, "float32") for name in ("score", *self.numbers))
        return (Column("label", "text"), *numbers, Column("scores", "float32", (len(manifest.labels),)))

    def scores(self, result: BaseModel) -> Mapping[str, float]:
        """See `AnswerKind.scores`."""
        assert isinstance(result, LabelResult)
        return result.scores


def _encoder(manifest: Manifest) -> RecurrentEncoder:
    assert isinstance(manifest.architecture, Classifier)
    return manifest.architecture.encoder


def _check_explained(manifest: Manifest, read: ReadSource, index: int) -> None:
    architecture, steps = manifest.architecture, read.steps
    assert isinstance(architecture, Classifier)
    most = MOST_EXPLAINED if architecture.explains_in_one_pass else MOST_READ_ANEW
    if most < steps <= MOST_EXPLAINED:
        anew = read_anew(read.source, architecture.encoder)
        if sum(anew) <= most * (most + 1) // 2:
            return  # padding that is masked
    if steps > most:
        words = "tokens" if manifest.source == "text" else "steps"
        use = manifest.tokenizer
        if use is not None and use.length is not None and use.length.pad is not None and use.length.to > most:
            shorter = ""
            if _encoder(manifest).is_masked and use.length.to <= MOST_EXPLAINED:
                shorter = f" (about {most * most // 2 // use.length.to} without padding): shorten the input, or"
            raise InputTooLong(
                f"{manifest.name} pads every text to {use.length.to} tokens; the limit of explain is {most}"
                f"{shorter or ':'} leave out explain",
                input=index,
                limit=most,
            )
        raise InputTooLong(
            f"inputs[{index}] has {steps} {words}; the limit of explain is {most} for {manifest.name}: shorten the "
            "input, or leave out explain",
            input=index,
            limit=most,
        )
