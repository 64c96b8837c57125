"""The answer kind `tags`: a label for each word of a text."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from app.engine.client import EngineClient
from app.engine.protocol import AnswerSpec, Tag, Tagged, Terms
from app.errors import InputTooLong
from app.store.manifest import Manifest
from app.tasks.answers.answer_kind import AnswerForm, AnswerKind
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.number_rows import array_of
from app.tasks.answers.tag_results import TagResult, WordTags
from app.tasks.answers.usage import Usage
from app.tasks.catalog import Entry
from app.tasks.columns import ANY, Column
from app.tasks.job import Job, Output, ReadSource
from app.tasks.options import TaskOptions


class TagOptions(TaskOptions):
    """How much of an answer is returned."""

    scores: bool = Field(False, description="Add `scores` to each word: the probability of each label.")


class TagAnswer(AnswerForm):
    """One result per input, in the same order."""

    results: list[TagResult]
    usage: Usage

    @property
    def has_pieces(self) -> bool:
        return True


class TagKind(AnswerKind):
    """A label for each word; of a word with several tokens the manifest says which of them gives it."""

    kind = "tags"
    form = TagAnswer

    def plan(self, entry: Entry, options: TaskOptions) -> Tag:
        """See `AnswerKind.plan`."""
        return Tag(scores=_with_scores(options))

    def request(self, plan: AnswerSpec, entry: Entry, read: ReadSource, options: TaskOptions, index: int) -> AnswerSpec:
        """See `AnswerKind.request`."""
        return plan

    def check(self, jobs: Sequence[Job], options: TaskOptions, limits: AnswerLimits) -> None:
        """See `AnswerKind.check`."""
        if not _with_scores(options):
            return
        numbers = sum(len(job.read.words) * len(job.entry.manifest.labels) for job in jobs)
        if numbers > limits.numbers:
            raise InputTooLong(
                f"the scores of the request have {numbers} numbers; the limit is {limits.numbers}: send fewer or "
                "shorter texts, or leave out scores",
                limit=limits.numbers,
            )

    async def answer(self, client: EngineClient, job: Job, terms: Terms) -> Output:
        """See `AnswerKind.answer`."""
        tagged = await client.answer(job.key, job.read.source, job.request, terms, cost=job.cost, carry=job.read.carry)
        assert isinstance(tagged, Tagged)
        manifest, words = job.entry.manifest, job.read.words
        places = [word.first if manifest.tag_at == "first" else word.last for word in words]
        tags = WordTags(
            words,
            manifest.labels,
            [tagged.labels[place] for place in places],
            array_of(tagged.chosen)[places, 0].tolist(),
            None if tagged.scores is None else array_of(tagged.scores)[places],
        )
        members: dict[str, Any] = {"tags": tags, "spans": tags.spans(job.read.text, job.read.first_char)}
        members["state"] = job.state(tagged.carried)
        return Output(TagResult.model_construct(model=manifest.name, version=manifest.version, **members))

    def columns(self, manifest: Manifest) -> tuple[Column, ...]:
        """See `AnswerKind.columns`: of each word its characters, its label and the probability of the label."""
        return Column("word", "text", (ANY,)), Column("label", "text", (ANY,)), Column("score", "float32", (ANY,))


def _with_scores(options: TaskOptions) -> bool:
    return isinstance(options, TagOptions) and options.scores
