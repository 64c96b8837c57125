"""The activations of networks that write a sentence: another request reads its tokens once more when it is known. So
they are those of the sentence that is shown, also behind a search or a stop string."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.engine.client import EngineClient
from app.engine.cost import cost_of, replay_steps
from app.engine.protocol import Activations, Decode, Pixels, Replay, Replayed, Terms, Tokens
from app.errors import InputTooLong, TimedOut
from app.json_pieces import JsonArray
from app.store.architecture import WritesTokens
from app.store.language_model import LanguageModel
from app.tasks.answers.decoding_options import decoding_of
from app.tasks.answers.explanations import activation_members, check_numbers, numbers_of_step
from app.tasks.answers.limits import AnswerLimits
from app.tasks.answers.transcript import SentenceOutput
from app.tasks.job import Job
from app.tasks.options import TaskOptions

MOST_REPLAYED = 1024  # steps of a network: tokens that it reads and writes
_PLACE = 2  # a step counts as much as two numbers: the tokens that it reads and writes


class ReplayOptions(TaskOptions):
    """Whether an answer that is decoded shows how its networks wrote it."""

    explain: bool = Field(
        False,
        description="Add `explanation`: hidden states, cells and gates of each network at each token that it reads and "
        "writes.",
    )
    layer: Annotated[int, Field(ge=0, le=99)] | None = Field(
        None,
        description="With `explain`: the layer, counted from 0; of a network with fewer layers the last one, as when "
        "left out.",
    )
    units: Annotated[int, Field(ge=1, le=65_536)] | None = Field(
        None,
        description="With `explain`: return this number of units, those whose hidden state changes most. "
        "By default all units.",
    )

    @model_validator(mode="after")
    def _is_explained(self) -> Self:
        wrong = [name for name in ("layer", "units") if getattr(self, name) is not None]
        if wrong and not self.explain:
            raise PydanticCustomError(wrong[0], f"{wrong[0]} needs an explanation; set explain to true as well")
        return self


def is_replayed(options: TaskOptions) -> bool:
    """Whether a request asks for an explanation of what is decoded."""
    return isinstance(options, ReplayOptions) and options.explain


def expected_steps(job: Job) -> int:
    """Cell steps of the explanation of an answer that is not known yet; 0 without one."""
    if not is_replayed(job.options):
        return 0
    assert isinstance(job.request, Decode)
    architecture = job.entry.manifest.architecture
    tokens = cost_of(job.read.source, job.request, architecture).answer // job.request.beams
    return replay_steps(job.read.source, tokens, architecture)


def check_replays(jobs: Sequence[Job], limits: AnswerLimits) -> None:
    """Raises InputTooLong if the explanations of a request, each of `max_tokens`, have too many steps or numbers."""
    for index, job in enumerate(jobs):
        for part in job.parts:
            _check_steps(part, index)
    options = _options(jobs[0])
    numbers = sum(_most_numbers(part, options.units) for job in jobs for part in job.parts)
    check_numbers(numbers, limits, has_units=True)


def _check_steps(job: Job, index: int) -> None:
    assert isinstance(job.request, Decode)
    read, written = _source_steps(job), job.request.max_tokens
    is_one = isinstance(job.entry.manifest.architecture, LanguageModel)
    most = read + written if is_one else max(read, written)
    if most > MOST_REPLAYED:
        room = MOST_REPLAYED - (read if is_one else 0)
        advice = f"set max_tokens to {room} or less" if room > 0 and read <= MOST_REPLAYED else "shorten the input"
        raise InputTooLong(
            f"the explanation of inputs[{index}] may have {most} steps; the limit of explain is {MOST_REPLAYED}: "
            f"{advice}, or leave out explain",
            input=index,
            limit=MOST_REPLAYED,
        )


def _source_steps(job: Job) -> int:
    source = job.read.source
    return 0 if isinstance(source, Pixels) or (isinstance(source, Tokens) and source.unread) else job.read.steps


def _most_numbers(job: Job, units: int | None) -> int:
    assert isinstance(job.request, Decode)
    architecture = _architecture(job)
    decoder = _PLACE + numbers_of_step(architecture.decoder, architecture.decoder.hidden_size, 1, units)
    steps = job.request.max_tokens + 1  # with that of the end token
    if isinstance(architecture, LanguageModel):
        return (_source_steps(job) + steps) * decoder
    encoder = architecture.encoder
    if encoder.kind == "image":
        return steps * decoder
    recurrence = encoder.recurrence
    of_step = _PLACE + numbers_of_step(recurrence, recurrence.hidden_size, recurrence.directions, units)
    return job.read.steps * of_step + steps * decoder


async def with_explanation(client: EngineClient, job: Job, terms: Terms, output: SentenceOutput) -> SentenceOutput:
    """The output with the activations of its best sentence, if the request wants them, and unless its deadline passes
    before they are there."""
    if not is_replayed(job.options):
        return output
    options, sentence = _options(job), output.sentence
    inputs = [_first(job), *sentence.ids][: sentence.places]
    replay = Replay(inputs, options.layer, options.units)
    cost = cost_of(job.read.source, replay, job.entry.manifest.architecture).total
    try:
        replayed = await client.answer(job.key, job.read.source, replay, terms, cost=cost)
    except TimedOut:
        return output
    assert isinstance(replayed, Replayed)
    runs = [*_encoder_runs(job, replayed), *_decoder_runs(job, replayed, inputs, [*sentence.ids, _eos(job)])]
    result = output.result.model_copy(update={"explanation": {"runs": runs}})
    return dataclasses.replace(output, result=result, sentence=dataclasses.replace(sentence, runs=runs))


def _encoder_runs(job: Job, replayed: Replayed) -> list[dict[str, Any]]:
    architecture = _architecture(job)
    if not replayed.encoder or isinstance(architecture, LanguageModel) or architecture.encoder.kind == "image":
        return []
    recurrence = architecture.encoder.recurrence
    reads = _source_pieces(job)
    shown = {"reads": JsonArray(reads)} if len(reads) == len(replayed.encoder[0].hidden) else {}
    return [_run(job, "encoder", shown, replayed.encoder, recurrence.layers, recurrence.describe())]


def _decoder_runs(job: Job, replayed: Replayed, inputs: Sequence[int], written: Sequence[int]) -> list[dict[str, Any]]:
    if not replayed.decoder:
        return []
    architecture, piece = _architecture(job), job.entry.target_tokenizer.piece
    reads: list[str | None] = [piece(token) for token in inputs]
    writes: list[str | None] = [piece(token) for token in written[: len(inputs)]]
    decoder = architecture.decoder
    if isinstance(architecture, LanguageModel):
        before = _source_pieces(job)
        reads, writes = [*before, *reads], [*(None for _ in before), *writes]
    elif decoder.first_input == "summary":
        reads[0] = None
    shown = {"reads": JsonArray(reads), "writes": JsonArray(writes)}
    words = f"{f'{decoder.layers} x ' if decoder.layers > 1 else ''}{decoder.words}-{decoder.hidden_size}"
    return [_run(job, "decoder", shown, replayed.decoder, decoder.layers, words)]


def _run(
    job: Job, part: str, shown: dict[str, JsonArray], found: Sequence[Activations], layers: int, network: str
) -> dict[str, Any]:
    options = _options(job)
    layer = layers - 1 if options.layer is None else min(options.layer, layers - 1)
    activations = activation_members(found, layer=layer, layers=layers, network=network, units=options.units)
    return {"part": part, **shown, "activations": activations}


def _source_pieces(job: Job) -> list[str]:
    """The tokens of the source as it is read; none of an image, nor of a text that a language model begins with its
    first input."""
    source = job.read.source
    if not isinstance(source, Tokens) or source.unread:
        return []
    if len(job.read.pieces) == len(source.ids):
        return [piece.text for piece in job.read.pieces]
    return [job.entry.tokenizer.piece(token) for token in source.ids]


def _first(job: Job) -> int:
    return decoding_of(job.entry).bos if job.read.first is None else job.read.first


def _eos(job: Job) -> int:
    return decoding_of(job.entry).eos


def _options(job: Job) -> ReplayOptions:
    assert isinstance(job.options, ReplayOptions)
    return job.options


def _architecture(job: Job) -> WritesTokens:
    architecture = job.entry.manifest.architecture
    assert isinstance(architecture, WritesTokens)
    return architecture
