"""Bodies of requests and answers."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.events import described_event, described_stream
from app.api.problems import Problem
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.results import EmittedToken, SentenceResult, SentimentResult, Usage

ModelName = Annotated[str, Field(max_length=128, description="Name of a model in `GET /v1/models`.")]
ModelVersion = Annotated[
    int,
    Field(
        ge=1,
        description="Version of the model. When left out its default version, the newest unless another was chosen.",
    ),
]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="ISO 639 code of a language.")]


def _listed(inputs: object) -> object:
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, list) and inputs:
        return inputs
    raise PydanticCustomError("inputs", "Input should be a string or a list of at least one string")


Inputs = Annotated[
    list[str],
    BeforeValidator(_listed, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
]


class Options(BaseModel):
    """Which model is to answer, and when. Unknown members are refused, so that a misspelt option does not pass
    silently."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName | None = None
    version: ModelVersion | None = None
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(0, description="What has more is run sooner.")
    timeout_ms: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Milliseconds in which an answer is of use, never more than the service's own limit; the header "
        "`X-Timeout-Ms` says the same. Sentences are then answered as far as they came.",
    )

    @model_validator(mode="after")
    def _version_is_of_a_model(self) -> Self:
        if self.version is not None and self.model is None:
            raise PydanticCustomError("version", "version is of a model; name it in 'model' as well")
        return self


class SentenceOptions(DecodingOptions, Options):
    """Which model is to answer, when, and how sentences are emitted."""


class TextInputs(BaseModel):
    """One text or a list of texts."""

    inputs: Inputs = Field(description="One text, or a list of texts.")


class ImageInputs(BaseModel):
    """One image or a list of images as base64 strings; a `data:` URL is taken too."""

    inputs: Inputs = Field(description="One image file in base64, or a list.")


class ImageFiles(BaseModel):
    """Images as files."""

    images: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        description="One or more JPEG, PNG or WebP files."
    )


class SentimentRequest(Options, TextInputs):
    """Texts to label. Without `model` each text's script chooses one: Latin English, Hangul Korean."""

    explain: bool = Field(False, description="Tell in `explanation` the probability of each label after each token.")
    layer: Annotated[int, Field(ge=0, le=99)] | None = Field(
        None,
        description="With `explain`: tell the hidden states, cells and gates of this layer as well, counted from 0.",
    )

    @model_validator(mode="after")
    def _layer_is_explained(self) -> Self:
        if self.layer is not None and not self.explain:
            raise PydanticCustomError("layer", "layer is of an explanation; set explain to true as well")
        return self


class TranslateRequest(SentenceOptions, TextInputs):
    """Sentences to translate."""

    source: LanguageCode | None = Field(None, description="Language of the inputs; `en` when left out.")
    target: LanguageCode | None = Field(None, description="Language to translate to; `ko` when left out.")


class CompleteRequest(SentenceOptions):
    """Texts to go on with. Without `model` each text's script chooses one: Latin English, Hangul Korean."""

    inputs: Inputs = Field(description="One text, or a list of texts; an empty one is gone on with from its beginning.")
    next_tokens: Annotated[int, Field(ge=0, le=20)] = Field(
        0, description="Tell in `next` so many of the tokens that most probably come next after the input."
    )


class CaptionRequest(SentenceOptions, ImageInputs):
    """Images to describe, as JSON."""


class CaptionForm(SentenceOptions, ImageFiles):
    """Images to describe, as a form."""


class SentimentAnswer(BaseModel):
    """One result per input, in the same order."""

    results: list[SentimentResult]
    usage: Usage


class SentenceAnswer(BaseModel):
    """One result per input, in the same order."""

    results: list[SentenceResult]
    usage: Usage


class StreamedToken(BaseModel):
    """Event `token`: what came of one input. The texts of all of them, joined, are the text of the result."""

    input: int = Field(description="The place of the input in the request, from 0.")
    text: str
    tokens: list[EmittedToken] | None = Field(None, description="Only with `logprobs`: the tokens of the text.")


class StreamedResult(BaseModel):
    """Event `result`: one input is answered."""

    input: int = Field(description="The place of the input in the request, from 0.")
    result: SentenceResult


class StreamDone(BaseModel):
    """Event `done`: all inputs are answered."""

    usage: Usage


STREAMED = described_stream(
    "The results; with `stream`, events `token`, `result` and `done`, or `error` as the last",
    described_event("token", StreamedToken),
    described_event("result", StreamedResult),
    described_event("done", StreamDone),
    described_event("error", Problem),
    example='event: token\ndata: {"input":0,"text":"파일"}\n\n'
    'event: token\ndata: {"input":0,"text":" 열기"}\n\n'
    'event: result\ndata: {"input":0,"result":{"text":"파일 열기","score":-0.31,"finish_reason":"stop",'
    '"model":"translate-en-ko","version":1}}\n\n'
    'event: done\ndata: {"usage":{"inputs":1,"source_tokens":3,"emitted_tokens":2}}\n\n',
)


class QualityFigure(BaseModel):
    """A measured number of a model card."""

    measure: str
    value: float
    data: str


class ModelInfo(BaseModel):
    """A version in the model store."""

    name: str
    version: int
    task: str
    description: str
    languages: list[str]
    architecture: str = Field(description="The network in words.")
    parameters: int
    bytes: int = Field(description="Size on disk.")
    labels: list[str]
    quality: list[QualityFigure]
    default: bool = Field(description="Whether it answers when no model is named.")
    default_version: bool = Field(description="Whether it answers when its name is given without a version.")
    licence: str


class LoadRequest(BaseModel):
    """Which version to load."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The newest of the model store when left out.", examples=[2]
    )


class UnloadRequest(BaseModel):
    """Which version to unload."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="All when left out.", examples=[1])


class DefaultRequest(BaseModel):
    """Which version is to answer for its name."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(description="`null` lets the newest answer.", examples=[1])


class LoadedVersion(BaseModel):
    """A version that is loaded and warm in every engine."""

    name: str = Field(examples=["sentiment-en"])
    version: int = Field(examples=[2])
    default_version: int = Field(description="The version that answers for the name now.", examples=[2])


class UnloadedVersions(BaseModel):
    """Versions that are not loaded any more. They stay in the model store."""

    name: str = Field(examples=["sentiment-en"])
    versions: list[int] = Field(examples=[[1]])


class DefaultVersion(BaseModel):
    """The version that answers for its name."""

    name: str = Field(examples=["sentiment-en"])
    version: int = Field(description="The version that answers now.", examples=[1])


class BrokenModel(BaseModel):
    """A version that cannot be used."""

    model: str = Field(examples=["sentiment-en/2"])
    reason: str


class ListedModel(BaseModel):
    """A language model, as OpenAI's clients read it."""

    id: str = Field(description="What `POST /v1/completions` takes as `model`.", examples=["lm-en"])
    object: Literal["model"] = "model"
    created: int = Field(0, description="Not known.")
    owned_by: str = "unroll"


class ModelList(BaseModel):
    """What can be served, and what is broken; `object` and `data` are what OpenAI's clients read."""

    models: list[ModelInfo]
    broken: list[BrokenModel]
    object: Literal["list"] = "list"
    data: list[ListedModel] = Field(description="The language models by name.")


class NamedModel(ListedModel):
    """What the list has of one name; OpenAI's clients read the members that are neither `models` nor `broken`."""

    id: str = Field(description="The name.", examples=["lm-en"])
    models: list[ModelInfo] = Field(description="Its usable versions, the one that answers for the name first.")
    broken: list[BrokenModel] = Field(description="Its versions that cannot be used.")


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests are answered, and by what."""

    status: Literal["ready", "starting", "draining"]
    engines_ready: int
    engines: int
    models: list[str]
    broken: list[BrokenModel]
