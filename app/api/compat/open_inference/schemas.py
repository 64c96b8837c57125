"""Bodies of requests and responses under `/v2`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.compat.unsupported import Only
from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.values_options import ValuesOptions
from app.tasks.options import RegisterOptions, SentenceOptions, TaskOptions, TextOptions
from app.tasks.request_form import RequestForm
from app.tasks.states.options import ReturnedStateOptions

MOST_DIMENSIONS = 8
MOST_TENSORS = 64
_MOST_PARAMETERS = 100
LAST_LEVEL = 21  # of priority
_DEFAULT_LEVEL = 11
_NO_REGION = "send the data with the request"
_WITHOUT_TENSOR = {"n_best": 1, "logprobs": None, "attention": False, "stream": False}  # options, with their defaults

SequenceId = Annotated[int, Field(ge=0, lt=2**64)]
SequenceName = Annotated[str, Field(max_length=128, pattern=r"^[^/\x00-\x1f\x7f]*$")]
TensorName = Annotated[str, Field(max_length=128)]
Datatype = Annotated[str, Field(max_length=16, description="`BYTES`, `UINT8` or `FP32`.")]
GivenParameters = Annotated[dict[str, Any], Field(max_length=_MOST_PARAMETERS)] | None
Dimension = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Closed(RequestForm):
    """Refuses unknown members."""

    model_config = ConfigDict(extra="forbid")


class InputParameters(Closed):
    """Parameters of an input tensor."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Size of the tensor after the JSON, in bytes; replaces `data`."
    )
    shared_memory_region: Annotated[object, Only(instead=_NO_REGION)] = None
    shared_memory_offset: Annotated[object, Only(instead=_NO_REGION)] = None
    shared_memory_byte_size: Annotated[object, Only(instead=_NO_REGION)] = None


class InputTensor(Closed):
    """An input tensor."""

    name: TensorName
    shape: Annotated[list[Dimension], Field(min_length=1, max_length=MOST_DIMENSIONS)]
    datatype: Datatype
    parameters: InputParameters | None = None
    data: list[Any] | None = Field(
        None, description="Elements row by row, flat or nested. BYTES are strings; image files are strings in base64."
    )


class OutputParameters(Closed):
    """Parameters of a requested output."""

    binary_data: bool | None = Field(
        None, description="Send the data after the JSON; `binary_data_output` when left out."
    )
    classification: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Only of `scores`: number of best labels, each as `score:index:label`."
    )
    shared_memory_region: Annotated[object, Only(instead="read it from the answer")] = None
    shared_memory_offset: Annotated[object, Only(instead="read it from the answer")] = None
    shared_memory_byte_size: Annotated[object, Only(instead="read it from the answer")] = None


class RequestedOutput(Closed):
    """A requested output."""

    name: TensorName
    parameters: OutputParameters | None = None


class InferRequest(Closed):
    """Input tensors for a model."""

    id: Annotated[str, Field(max_length=256)] | None = Field(None, description="Returned with the answer.")
    model_name: str | None = Field(None, description="Optional; must match the path.")
    model_version: str | None = Field(None, description="Ignored; name a version in the path.")
    parameters: GivenParameters = Field(
        None,
        description="`priority`, `timeout`, `timeout_ms` and `binary_data_output`; `truncate` of models that read "
        "texts, `state` and `return_state` of models that carry their state, `split_sentences` of translators; "
        "decoding options of models that decode text.",
    )
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=MOST_TENSORS)]
    outputs: Annotated[list[RequestedOutput], Field(max_length=MOST_TENSORS)] | None = Field(
        None, description="All outputs of the model when left out."
    )


class Parameters(TaskOptions, Closed):
    """Parameters of a request to any model."""

    priority: Annotated[int, Field(ge=0, le=LAST_LEVEL)] = Field(
        0, description=f"As in Triton: 1 runs first and {LAST_LEVEL} last; 0 means {_DEFAULT_LEVEL}."
    )
    timeout: Annotated[int, Field(ge=0)] = Field(
        0, description="Deadline in microseconds, as in Triton; 0 means the limit of the service."
    )
    timeout_ms: Annotated[int, Field(ge=1)] | None = Field(None, description="Deadline in milliseconds.")
    binary_data_output: bool = Field(False, description="Send outputs after the JSON.")
    sequence_id: SequenceId | SequenceName = Field(
        0,
        description="A sequence that the service keeps, as in Triton: the input is what came since its last request. "
        "0 and an empty string mean none; 42 and `42` are the same.",
    )
    sequence_start: bool = Field(False, description="Begin the sequence anew; its first request needs this.")
    sequence_end: bool = Field(False, description="Forget the sequence after the answer.")

    @model_validator(mode="after")
    def _one_timeout(self) -> Self:
        if self.timeout and self.timeout_ms:
            raise PydanticCustomError("timeout", "timeout and timeout_ms are both set; leave one of them out")
        return self

    @model_validator(mode="after")
    def _are_of_a_sequence(self) -> Self:
        if not self.sequence_id and (self.sequence_start or self.sequence_end):
            raise PydanticCustomError("sequence", "sequence_start and sequence_end need a sequence_id; send one")
        return self

    @property
    def milliseconds(self) -> int | None:
        return self.timeout_ms or -(-self.timeout // 1000) or None

    @property
    def native_priority(self) -> int:
        """The priority of the native interface: a higher one runs sooner."""
        return _DEFAULT_LEVEL - (self.priority or _DEFAULT_LEVEL)


class StateParameters(ReturnedStateOptions, Parameters):
    """Parameters of a request to a model that may carry its state."""

    @model_validator(mode="after")
    def _begins_a_sequence_from_it(self) -> Self:
        if self.sequence_id and self.state is not None and not self.sequence_start:
            raise PydanticCustomError(
                "sequence", "a sequence continues from its own state: leave out state, or set sequence_start"
            )
        return self


class TextParameters(TextOptions, StateParameters):
    """Parameters of a request to a model that reads texts."""


class SentenceParameters(DecodingOptions, Parameters):
    """Parameters of a request to a model that decodes text."""

    exclude_input_in_output: Annotated[object, Only(True, instead="the output never includes the input")] = None

    @model_validator(mode="after")
    def _has_tensors(self) -> Self:
        _refuse(self, _WITHOUT_TENSOR, stream="generate_stream")
        return self


class ForecastParameters(ValuesOptions, StateParameters):
    """Parameters of a request to a model that forecasts."""

    @model_validator(mode="after")
    def _has_tensors(self) -> Self:
        _refuse(self, {"scaled": False, "states": False, "stream": False})
        return self


class ContinuationParameters(TextOptions, StateParameters, SentenceParameters):
    """Parameters of a request to a model that reads and decodes text."""


class TranslationParameters(SentenceOptions, RegisterOptions, SentenceParameters):
    """Parameters of a request to a model that reads single sentences and decodes text in a register."""


class OutputTensor(BaseModel):
    """An output tensor; with `binary_data_size` its data follows the JSON."""

    name: str = Field(examples=["label"])
    datatype: str = Field(examples=["BYTES"])
    shape: list[int] = Field(examples=[[1]])
    parameters: dict[str, int] | None = None
    data: list[str] | list[float] | None = Field(None, examples=[["positive"]])


class InferAnswer(BaseModel):
    """The outputs of a model."""

    model_name: str = Field(examples=["sentiment-en"])
    model_version: str = Field(examples=["1"])
    id: str | None = None
    outputs: list[OutputTensor]


class GenerateRequest(RequestForm):
    """A text for a model that decodes text. Options are in `parameters` or beside `text_input`."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(max_length=256)] | None = Field(None, description="Returned with the answer.")
    text_input: str
    parameters: GivenParameters = Field(None, description="The parameters of `infer`.")


class GenerateAnswer(BaseModel):
    """The text that a model decoded, or a part of it in a stream."""

    id: str | None = None
    model_name: str = Field(examples=["lm-en"])
    model_version: str = Field(examples=["1"])
    text_output: str
    score: float | None = Field(
        None, description="As in the results of the native tasks; in a stream only in the last event."
    )
    finish_reason: str | None = Field(None, description="As for `score`.", examples=["stop"])
    state: str | None = Field(None, description="With `return_state`; as for `score`.")


class ServerMetadata(BaseModel):
    """The server."""

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
    """An input or output tensor of a model."""

    name: str = Field(examples=["text_input"])
    datatype: str = Field(examples=["BYTES"])
    shape: list[int] = Field(
        description="-1 means any size; the first dimension is the number of inputs.", examples=[[-1]]
    )


class ModelMetadata(BaseModel):
    """The input and output tensors of a model."""

    name: str = Field(examples=["sentiment-en"])
    versions: list[str] = Field(examples=[["1"]])
    platform: Literal["unroll"] = "unroll"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfiguration(BaseModel):
    """A tensor without its batch dimension."""

    name: str
    data_type: str = Field(examples=["TYPE_STRING"])
    dims: list[int]
    optional: bool | None = Field(None, description="True for `state`, and for one of several sources.")


class ModelConfiguration(BaseModel):
    """The configuration of a model, for Triton's clients."""

    name: str
    platform: Literal["unroll"] = "unroll"
    backend: Literal["unroll"] = "unroll"
    max_batch_size: int = Field(description="Limit of inputs in one request.")
    input: list[TensorConfiguration]
    output: list[TensorConfiguration]


class Duration(BaseModel):
    """A count, and the total time."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Times of inputs in engines, from arrival to answer. Answered inputs also count their waiting (`queue`), the
    encoding of the source (`compute_input`), and the decoding of tokens (`compute_infer`)."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class ModelStatistics(BaseModel):
    """Statistics of one version, since each engine loaded it."""

    name: str
    version: str
    last_inference: int = Field(description="Time of the last answer in milliseconds since 1970; 0 if there was none.")
    inference_count: int = Field(description="Number of answered inputs.")
    execution_count: int = Field(description="Number of batches: pieces of sources, and units of steps.")
    inference_stats: InferenceStatistics
    batch_stats: list[Any] = []


class Statistics(BaseModel):
    """Statistics of models."""

    model_stats: list[ModelStatistics]


class IndexRequest(Closed):
    """The versions to list."""

    ready: bool = Field(False, description="Only served versions.")


class IndexedModel(BaseModel):
    """A version."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class GenerateFailure(BaseModel):
    """The last event of a stream that fails."""

    error: str = Field(description="The mistake, the limit, and what to do.")


class RepositoryLoadParameters(Closed):
    """Parameters of a load."""

    version: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Not in Triton: the newest version in the model store when left out."
    )
    config: Annotated[object, Only(instead="the manifest of a version is its configuration")] = None


class RepositoryLoadRequest(Closed):
    """The version to load."""

    parameters: RepositoryLoadParameters = RepositoryLoadParameters()


class RepositoryUnloadParameters(Closed):
    """Parameters of an unload."""

    version: Annotated[int, Field(ge=1)] | None = Field(None, description="Not in Triton: all versions when left out.")
    unload_dependents: bool = Field(False, description="Without effect: no model depends on another.")


class RepositoryUnloadRequest(Closed):
    """The version to unload."""

    parameters: RepositoryUnloadParameters = RepositoryUnloadParameters()


class RepositoryLoaded(BaseModel):
    """A model was loaded."""

    name: str
    load: Literal[True] = True


class RepositoryUnloaded(BaseModel):
    """A model was unloaded."""

    name: str
    unload: Literal[True] = True


def _refuse(parameters: Parameters, neutral: Mapping[str, object], **instead: str) -> None:
    """Raises PydanticCustomError for an option that has no tensor, unless it has its default."""
    for name, default in neutral.items():
        if getattr(parameters, name) != default:
            raise PydanticCustomError(
                "unsupported",
                "{name} is not supported here: leave it out, or use {instead}",
                {"name": name, "instead": instead.get(name, "the routes under /v1")},
            )
