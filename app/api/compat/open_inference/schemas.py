"""What clients of the Open Inference Protocol send to `/v2` and read from it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.compat.unsupported import Only
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.options import TaskOptions

MOST_DIMENSIONS = 8
LAST_LEVEL = 21  # of priority
_ORDINARY_LEVEL = 11
_WITHOUT_REGION = "send the data with the request"
_UNTOLD = {"n_best": 1, "logprobs": None, "attention": False, "stream": False}  # what no tensor tells

TensorName = Annotated[str, Field(max_length=128)]
Datatype = Annotated[str, Field(max_length=16, description="`BYTES`, `UINT8` or `FP32`.")]
Dimension = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Closed(BaseModel):
    """Members that it does not have are refused."""

    model_config = ConfigDict(extra="forbid")


class InputParameters(Closed):
    """Of an input tensor."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Bytes of the tensor behind the JSON, in place of `data`."
    )
    shared_memory_region: Annotated[object, Only(instead=_WITHOUT_REGION)] = None
    shared_memory_offset: Annotated[object, Only(instead=_WITHOUT_REGION)] = None
    shared_memory_byte_size: Annotated[object, Only(instead=_WITHOUT_REGION)] = None


class InputTensor(Closed):
    """An input."""

    name: TensorName
    shape: Annotated[list[Dimension], Field(min_length=1, max_length=MOST_DIMENSIONS)]
    datatype: Datatype
    parameters: InputParameters | None = None
    data: list[Any] | None = Field(
        None, description="Elements row by row, flat or nested. Strings for BYTES; files among them are in base64."
    )


class OutputParameters(Closed):
    """Of an output that is asked for."""

    binary_data: bool | None = Field(None, description="Tell it behind the JSON; else as `binary_data_output` says.")
    classification: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Of `scores`: so many of the best labels, each as `score:index:label`."
    )
    shared_memory_region: Annotated[object, Only(instead="read it from the answer")] = None
    shared_memory_offset: Annotated[object, Only(instead="read it from the answer")] = None
    shared_memory_byte_size: Annotated[object, Only(instead="read it from the answer")] = None


class RequestedOutput(Closed):
    """An output that is asked for."""

    name: TensorName
    parameters: OutputParameters | None = None


class InferRequest(Closed):
    """Tensors for a model."""

    id: Annotated[str, Field(max_length=256)] | None = Field(None, description="Told with the answer.")
    model_name: str | None = Field(None, description="If it is told, that of the path.")
    model_version: str | None = Field(None, description="Not needed: the path tells it.")
    parameters: dict[str, Any] | None = Field(
        None,
        description="`priority`, `timeout`, `timeout_ms` and `binary_data_output`; of a model that emits sentences its "
        "decoding options as well.",
    )
    inputs: Annotated[list[InputTensor], Field(min_length=1)]
    outputs: list[RequestedOutput] | None = Field(None, description="All of the model when left out.")


class Parameters(TaskOptions, Closed):
    """Of a request to any model."""

    priority: Annotated[int, Field(ge=0, le=LAST_LEVEL)] = Field(
        0, description=f"As Triton counts: 1 is run first and {LAST_LEVEL} last; 0 is as {_ORDINARY_LEVEL}."
    )
    timeout: Annotated[int, Field(ge=0)] = Field(
        0, description="Microseconds in which an answer is of use, as Triton counts; 0 leaves it to the service."
    )
    timeout_ms: Annotated[int, Field(ge=1)] | None = Field(None, description="The same in milliseconds.")
    binary_data_output: bool = Field(False, description="Tell outputs behind the JSON.")
    sequence_id: Annotated[object, Only(0, "", instead="each request is read from its beginning")] = None
    sequence_start: Annotated[object, Only(False)] = None
    sequence_end: Annotated[object, Only(False)] = None

    @model_validator(mode="after")
    def _one_timeout(self) -> Self:
        if self.timeout and self.timeout_ms:
            raise PydanticCustomError("timeout", "timeout and timeout_ms say the same; leave one of them out")
        return self

    @property
    def milliseconds(self) -> int | None:
        return self.timeout_ms or -(-self.timeout // 1000) or None

    @property
    def rank(self) -> int:
        """The priority as the tasks count: what has more is run sooner."""
        return _ORDINARY_LEVEL - (self.priority or _ORDINARY_LEVEL)


class SentenceParameters(DecodingOptions, Parameters):
    """Of a request to a model that emits."""

    exclude_input_in_output: Annotated[object, Only(True, instead="what is emitted never repeats the input")] = None

    @model_validator(mode="after")
    def _all_can_be_told(self) -> Self:
        for name, neutral in _UNTOLD.items():
            if getattr(self, name) != neutral:
                raise PydanticCustomError(
                    "unsupported",
                    "{name} is not supported here: leave it out, or ask {instead}",
                    {"name": name, "instead": "generate_stream" if name == "stream" else "the routes under /v1"},
                )
        return self


class OutputTensor(BaseModel):
    """An output; with `binary_data_size` its data stand behind the JSON."""

    name: str = Field(examples=["label"])
    datatype: str = Field(examples=["BYTES"])
    shape: list[int] = Field(examples=[[1]])
    parameters: dict[str, int] | None = None
    data: list[str] | list[float] | None = Field(None, examples=[["positive"]])


class InferAnswer(BaseModel):
    """Outputs of a model."""

    model_name: str = Field(examples=["sentiment-en"])
    model_version: str = Field(examples=["1"])
    id: str | None = None
    outputs: list[OutputTensor]


class GenerateRequest(BaseModel):
    """A text for a model that emits. Options stand in `parameters` or beside `text_input`."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(max_length=256)] | None = Field(None, description="Told with the answer.")
    text_input: str
    parameters: dict[str, Any] | None = Field(None, description="Decoding options, and those of any request.")


class GenerateAnswer(BaseModel):
    """What a model emitted, or of a stream what came of it."""

    id: str | None = None
    model_name: str = Field(examples=["lm-en"])
    model_version: str = Field(examples=["1"])
    text_output: str
    score: float | None = Field(None, description="As in the results of the tasks; of a stream with its last event.")
    finish_reason: str | None = Field(None, description="As `score`.", examples=["stop"])


class ServerMetadata(BaseModel):
    """Who answers."""

    name: Literal["unroll"] = "unroll"
    version: str = Field(examples=["0.1.0"])
    extensions: list[str]


class Live(BaseModel):
    """The process is up."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Requests are answered."""

    ready: Literal[True] = True


class ModelReady(BaseModel):
    """The model answers."""

    name: str = Field(examples=["sentiment-en"])
    ready: Literal[True] = True


class TensorMetadata(BaseModel):
    """A tensor that a model takes or tells."""

    name: str = Field(examples=["text_input"])
    datatype: str = Field(examples=["BYTES"])
    shape: list[int] = Field(description="-1 is any number; the first is that of the inputs.", examples=[[-1]])


class ModelMetadata(BaseModel):
    """What a model takes and tells."""

    name: str = Field(examples=["sentiment-en"])
    versions: list[str] = Field(examples=[["1"]])
    platform: Literal["unroll"] = "unroll"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfiguration(BaseModel):
    """A tensor without the dimension of the batch."""

    name: str
    data_type: str = Field(examples=["TYPE_STRING"])
    dims: list[int]
    optional: bool | None = Field(None, description="Of several inputs of which one is sent.")


class ModelConfiguration(BaseModel):
    """A model as Triton's clients read its configuration."""

    name: str
    platform: Literal["unroll"] = "unroll"
    backend: Literal["unroll"] = "unroll"
    max_batch_size: int = Field(description="Inputs of one request.")
    input: list[TensorConfiguration]
    output: list[TensorConfiguration]


class Duration(BaseModel):
    """How often, and how long in all."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Durations of inputs in engines: from arrival to answer, and of those answered the waiting (`queue`), the
    consuming of the source (`compute_input`) and the emitting of tokens (`compute_infer`, of sentences alone)."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(BaseModel):
    """What the engines did with one version since each of them loaded it."""

    name: str
    version: str
    last_inference: int = Field(description="When it last answered, in milliseconds since 1970; 0 if never.")
    inference_count: int = Field(description="Inputs answered.")
    execution_count: int = Field(description="Batches run: pieces of sources, and units of steps.")
    inference_stats: InferenceStatistics
    batch_stats: list[Any] = []


class Statistics(BaseModel):
    """Of models."""

    model_stats: list[ModelStatistics]


class IndexRequest(Closed):
    """Which versions to list."""

    ready: bool = Field(False, description="Only those that answer.")


class IndexedModel(BaseModel):
    """A version that is known."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class GenerateFailure(BaseModel):
    """The last event of a stream that failed."""

    error: str = Field(description="What went wrong, and what to change.")


class RepositoryLoadParameters(Closed):
    """Of a load."""

    version: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Not Triton's: the newest of the model store when left out."
    )
    config: Annotated[object, Only(instead="a version's manifest is its configuration")] = None


class RepositoryLoadRequest(Closed):
    """Which version to load."""

    parameters: RepositoryLoadParameters = RepositoryLoadParameters()


class RepositoryUnloadParameters(Closed):
    """Of an unload."""

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="Not Triton's: all when left out.")
    unload_dependents: bool = Field(False, description="Makes no difference: no model depends on another.")


class RepositoryUnloadRequest(Closed):
    """Which version to unload."""

    parameters: RepositoryUnloadParameters = RepositoryUnloadParameters()


class RepositoryLoaded(BaseModel):
    """A model was loaded."""

    name: str
    load: Literal[True] = True


class RepositoryUnloaded(BaseModel):
    """A model was unloaded."""

    name: str
    unload: Literal[True] = True
