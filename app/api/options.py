"""Members of every request to a task: model, version, priority, timeout, and the inputs."""

from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.tasks.request_form import RequestForm

ModelName = Annotated[str, Field(max_length=128, description="Name of a model in `GET /v1/models`.")]
ModelVersion = Annotated[
    int,
    Field(
        ge=1,
        description="Version of the model. When left out its default version: the newest, unless another is set.",
    ),
]


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


class Options(RequestForm):
    """The model that answers, and when. Unknown members are refused, so that a misspelt option is not ignored."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName | None = None
    version: ModelVersion | None = None
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(0, description="A higher priority runs sooner.")
    timeout_ms: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="Deadline of the answer in milliseconds, capped by the limit of the service; the header "
        "`X-Timeout-Ms` does the same. At the deadline a sentence is returned with the tokens decoded so far.",
    )

    @model_validator(mode="after")
    def _version_needs_a_model(self) -> Self:
        if self.version is not None and self.model is None:
            raise PydanticCustomError("version", "version needs a model; name it in 'model' as well")
        return self
