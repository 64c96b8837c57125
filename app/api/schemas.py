"""Bodies of requests and answers about models, administration and health."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


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
