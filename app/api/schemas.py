"""Bodies of requests and answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.tasks.results import SentenceResult, SentimentResult, Usage

ModelName = Annotated[str, Field(max_length=128, description="Name of a model in `GET /v1/models`.")]
ModelVersion = Annotated[int, Field(ge=1, description="Version of the model; the newest when left out.")]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="ISO 639 code of a language.")]
MaxTokens = Annotated[int, Field(ge=1, le=10_000, description="Most tokens to emit; the model's own when left out.")]


class Body(BaseModel):
    """Unknown members are refused, so that a misspelt option does not pass silently."""

    model_config = ConfigDict(extra="forbid")


class TextInputs(Body):
    """One text or a list of texts."""

    inputs: str | Annotated[list[str], Field(min_length=1)] = Field(description="One text, or a list of texts.")
    model: ModelName | None = None
    version: ModelVersion | None = None

    @property
    def texts(self) -> list[str]:
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


class DecodingOptions(Body):
    """How sentences are emitted; greedy for now."""

    max_tokens: MaxTokens | None = None


class SentimentRequest(TextInputs):
    """Texts to label. Without `model` each text's script chooses one: Latin English, Hangul Korean."""


class TranslateRequest(TextInputs, DecodingOptions):
    """Sentences to translate."""

    source: LanguageCode | None = Field(None, description="Language of the inputs; `en` when left out.")
    target: LanguageCode | None = Field(None, description="Language to translate to; `ko` when left out.")


class CaptionRequest(DecodingOptions):
    """Images as base64 strings; a `data:` URL is taken too."""

    inputs: str | Annotated[list[str], Field(min_length=1)] = Field(description="One image file in base64, or a list.")
    model: ModelName | None = None
    version: ModelVersion | None = None


class CaptionForm(BaseModel):
    """Images as files."""

    images: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        description="One or more JPEG, PNG or WebP files."
    )
    model: ModelName | None = None
    version: ModelVersion | None = None
    max_tokens: MaxTokens | None = None


class CaptionQuery(DecodingOptions):
    """Options of a raw image body, in the query string."""

    model: ModelName | None = None
    version: ModelVersion | None = None


class SentimentAnswer(BaseModel):
    """One result per input, in the same order."""

    results: list[SentimentResult]
    usage: Usage


class SentenceAnswer(BaseModel):
    """One result per input, in the same order."""

    results: list[SentenceResult]
    usage: Usage


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
    licence: str


class BrokenModel(BaseModel):
    """A version that cannot be used."""

    model: str = Field(examples=["sentiment-en/2"])
    reason: str


class ModelList(BaseModel):
    """What can be served, and what is broken."""

    models: list[ModelInfo]
    broken: list[BrokenModel]


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether requests are answered, and by what."""

    status: Literal["ready", "starting"]
    engines_ready: int
    engines: int
    models: list[str]
    broken: list[BrokenModel]
