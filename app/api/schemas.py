"""Bodies of requests and responses about models, administration and health."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.store.description import SourceName
from app.store.registers import Register
from app.tasks.request_form import RequestForm


class QualityFigure(BaseModel):
    """A measured number of a model card."""

    measure: str
    value: float
    data: str


class SeriesInfo(BaseModel):
    """The numbers that a model over series reads, and those that it forecasts."""

    features: list[str] = Field(description="The columns of a row, in order.", examples=[["temp_max", "wind"]])
    targets: list[str] = Field(description="The columns of a forecast; none of a classifier.", examples=[["temp_max"]])
    window: int | None = Field(None, description="The steps that the network reads; any number when left out.")
    horizon: int | None = Field(None, description="Steps ahead of a forecast that asks for no other number.")
    longest_horizon: int | None = Field(None, description="The most steps ahead; any number when left out.")
    pad: Literal["refuse", "left", "right"] = Field(
        description="What becomes of a series with fewer steps than the window: it is refused, or padded on this side."
    )
    missing: Literal["refuse", "previous", "linear", "zero", "mean"] = Field(
        description="What becomes of missing numbers."
    )
    interval: str | None = Field(None, description="The time between two steps in words.", examples=["1 day"])


class RegistersInfo(BaseModel):
    """The registers that a model writes in."""

    names: list[Register] = Field(description="Values of the option `register`.", examples=[["polite", "formal"]])
    default: Register | None = Field(
        None, description="The register of requests that name none; the model chooses if left out."
    )


class UploadedPiece(BaseModel):
    """A piece of a file that an administrator uploads."""

    name: str
    version: int
    file: str
    bytes: int = Field(description="Bytes of the file so far: the offset of its next piece.")


class ModelInfo(BaseModel):
    """A version in the model store."""

    name: str
    version: int
    task: str
    description: str
    domain: dict[str, str] | None = Field(
        None,
        description="What inputs it is for, in a sentence, by language.",
        examples=[{"en": "Short everyday sentences.", "ko": "짧은 일상 문장."}],
    )
    languages: list[str]
    architecture: str = Field(description="The network in words.")
    parameters: int
    bytes: int = Field(description="Size on disk.")
    labels: list[str]
    source: SourceName = Field(description="What it reads; `frames` are clips.", examples=["text"])
    series: SeriesInfo | None = Field(None, description="Only of models that read series.")
    frames: int | None = Field(
        None, description="Only of models that read clips: the frames that a clip is sampled to; all when left out."
    )
    registers: RegistersInfo | None = Field(None, description="Only of models that take the option `register`.")
    unsure_below: float | None = Field(
        None, description="Only of models whose answers have a `confidence`: below it they are `unsure`."
    )
    quality: list[QualityFigure]
    state: Literal["loaded", "loading", "available"] = Field(
        description="`loaded` in an engine, `loading`, or `available`: its next request loads it."
    )
    carries_state: bool = Field(description="Whether requests can return its state and continue from one.")
    default: bool = Field(description="Whether it answers requests that name no model.")
    default_version: bool = Field(description="Whether it answers requests that name the model without a version.")
    licence: str


class LoadRequest(RequestForm):
    """The version to load."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The newest version in the model store when left out.", examples=[2]
    )


class UnloadRequest(RequestForm):
    """The version to unload."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="All versions when left out.", examples=[1])


class DefaultRequest(RequestForm):
    """The default version to set."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(
        description="`null` makes the newest version the default.", examples=[1]
    )


class LoadedVersion(BaseModel):
    """A version that is loaded and warm in every engine."""

    name: str = Field(examples=["sentiment-en"])
    version: int = Field(examples=[2])
    default_version: int = Field(description="The default version of the name from now on.", examples=[2])


class UnloadedVersions(BaseModel):
    """Versions that were unloaded. They stay in the model store."""

    name: str = Field(examples=["sentiment-en"])
    versions: list[int] = Field(examples=[[1]])


class DefaultVersion(BaseModel):
    """The default version of a name."""

    name: str = Field(examples=["sentiment-en"])
    version: int = Field(description="The default version from now on.", examples=[1])


class BrokenModel(BaseModel):
    """A version that cannot be used."""

    model: str = Field(examples=["sentiment-en/2"])
    reason: str


class ListedModel(BaseModel):
    """A language model, as OpenAI's clients read it."""

    id: str = Field(description="The member `model` of `POST /v1/completions`.", examples=["lm-en"])
    object: Literal["model"] = "model"
    created: int = Field(0, description="Unknown, so always 0.")
    owned_by: str = "unroll"


class ModelList(BaseModel):
    """Loaded and broken versions; `object` and `data` are for OpenAI's clients."""

    models: list[ModelInfo]
    broken: list[BrokenModel]
    object: Literal["list"] = "list"
    data: list[ListedModel] = Field(description="The language models by name.")


class NamedModel(ListedModel):
    """The versions of one name; members other than `models` and `broken` are for OpenAI's clients."""

    id: str = Field(description="The name.", examples=["lm-en"])
    models: list[ModelInfo] = Field(description="Its usable versions, the default version first.")
    broken: list[BrokenModel] = Field(description="Its versions that cannot be used.")


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether the service is ready, with its engines and models."""

    status: Literal["ready", "starting", "draining"]
    engines_ready: int
    engines: int
    models: list[str]
    broken: list[BrokenModel]
