"""Bodies of `/v1/embeddings` for OpenAI's clients."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation
from pydantic_core import PydanticCustomError

from app.api.compat.openai.chosen_model import chosen_model
from app.api.compat.unsupported import Only
from app.api.options import Options
from app.json_pieces import AS_IT_IS
from app.tasks.embedding import EmbeddingOptions
from app.tasks.request_form import RequestForm


def _inputs(inputs: object) -> object:
    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, list) and inputs and all(isinstance(item, str) for item in inputs):
        return inputs
    raise PydanticCustomError(
        "input", "Input should be a string or a list of at least one string; token ids are not supported: send the text"
    )


class EmbeddingRequest(RequestForm):
    """Texts to embed, as OpenAI's clients send them. Unsupported options are refused."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=128)] = Field(
        description="Name of a model in `GET /v1/models` that reads texts, or `name/version`."
    )
    input: Annotated[
        list[str],
        BeforeValidator(_inputs, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
    ] = Field(description="One text or a list.")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="`float`, the default: a list of numbers; `base64`: their bytes as little-endian float32."
    )
    dimensions: Annotated[object, Only(instead="leave it out; a model has as many dimensions as units")] = None
    user: str | None = Field(None, description="Accepted, without effect.")
    truncate: bool = Field(False, description="Not in OpenAI's interface: cut a text that is too long.")
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(
        0, description="Not in OpenAI's interface: a higher priority runs sooner."
    )
    timeout_ms: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Not in OpenAI's interface: deadline of the answer in milliseconds."
    )

    def options(self) -> Options:
        """The model that answers, and when."""
        return chosen_model(self.model, priority=self.priority, timeout_ms=self.timeout_ms)

    def embedding(self) -> EmbeddingOptions:
        """These as options of the task. OpenAI's embeddings have the length 1."""
        return EmbeddingOptions(normalize=True, truncate=self.truncate)


class EmbeddingItem(BaseModel):
    """The embedding of a text."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="The index of the text in `input`.")
    embedding: Annotated[list[float] | str, SkipValidation, AS_IT_IS] = Field(
        description="A number for each unit; their Euclidean norm is 1. With `base64` the bytes of these numbers."
    )


class EmbeddingUsage(BaseModel):
    """The tokens of a request."""

    prompt_tokens: int = Field(description="Tokens of the texts.")
    total_tokens: int


class EmbeddingList(BaseModel):
    """The embeddings in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingUsage
