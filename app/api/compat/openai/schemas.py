"""Bodies of `/v1/completions` for OpenAI's clients, and their options as decoding options."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.compat.openai.chosen_model import chosen_model
from app.api.compat.unsupported import Only
from app.api.options import Options
from app.json_pieces import AS_IT_IS
from app.tasks.answers.decoding_options import MOST_SEED, StopString
from app.tasks.completion import CompletionOptions
from app.tasks.request_form import RequestForm

_DEFAULT_TOKENS = 16  # as in OpenAI's service


def _prompts(prompt: object) -> object:
    if prompt is None:
        return [""]
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt and all(isinstance(item, str) for item in prompt):
        return prompt
    raise PydanticCustomError(
        "prompt", "Input should be a string or a list of at least one string; token ids are not supported"
    )


def _stops(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop or None


class StreamOptions(RequestForm):
    """Options of a stream."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool | None = Field(None, description="Add a last chunk with `usage` and without choices.")
    include_obfuscation: Annotated[object, Only(False)] = None


class CompletionRequest(RequestForm):
    """Prompts to continue, as OpenAI's clients send them. Unsupported options are refused."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=128)] = Field(
        description="Name of a language model in `GET /v1/models`, or `name/version`."
    )
    prompt: Annotated[
        list[str],
        BeforeValidator(_prompts, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)] | None),
    ] = Field([""], description="One text or a list. An empty text starts a new one.")
    max_tokens: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description=f"Limit of tokens in a choice; {_DEFAULT_TOKENS} when left out."
    )
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = Field(
        None, description="0 takes the most probable token; 1 when left out."
    )
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Draw from the smallest set of tokens that holds this share of the probability."
    )
    n: Annotated[int, Field(ge=1, le=128)] | None = Field(None, description="Choices for each prompt; 1 when left out.")
    seed: Annotated[int, Field(ge=-MOST_SEED - 1, le=MOST_SEED)] | None = Field(
        None, description="Makes a draw repeatable. Choice number i uses `seed` + i."
    )
    stop: Annotated[
        Annotated[list[StopString], Field(max_length=4)] | None,
        BeforeValidator(_stops, json_schema_input_type=StopString | list[StopString] | None),
    ] = Field(None, description="Up to 4 strings; a choice ends before the first one that occurs.")
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = Field(
        None, description="Return `logprobs`, with this number of alternatives at each place. Not with `echo`."
    )
    echo: bool | None = Field(None, description="Return the prompt before its continuation.")
    stream: bool | None = Field(None, description="Answer with server-sent events.")
    stream_options: StreamOptions | None = Field(None, description="Only with `stream`.")
    user: str | None = Field(None, description="Accepted, without effect.")
    best_of: Annotated[int, Field(ge=1)] | None = Field(None, description="Only the value of `n` is supported.")
    frequency_penalty: Annotated[object, Only(0)] = None
    presence_penalty: Annotated[object, Only(0)] = None
    logit_bias: Annotated[object, Only({})] = None
    suffix: Annotated[object, Only("")] = None
    truncate: bool = Field(
        False,
        description="Not in OpenAI's interface: cut the beginning of a prompt that is too long, instead of refusing "
        "it.",
    )
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(
        0, description="Not in OpenAI's interface: a higher priority runs sooner."
    )
    timeout_ms: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Not in OpenAI's interface: deadline of the answer in milliseconds."
    )

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.best_of not in (None, self.choices):
            raise PydanticCustomError("best_of", "best_of is not supported: leave it out, or set it to n")
        if self.echo and self.logprobs is not None:
            raise PydanticCustomError(
                "echo",
                "echo with logprobs is not supported, since a prompt has no log-probabilities: leave out one of them",
            )
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("stream_options", "stream_options needs stream; set stream to true as well")
        return self

    @property
    def choices(self) -> int:
        """Choices for each prompt."""
        return self.n or 1

    @property
    def inputs(self) -> list[str]:
        """The prompt of each choice, in the order of choices."""
        return [prompt for prompt in self.prompt for _ in range(self.choices)]

    def options(self) -> Options:
        """The model that answers, and when."""
        return chosen_model(self.model, priority=self.priority, timeout_ms=self.timeout_ms)

    def decoding(self) -> CompletionOptions:
        """These as options of the task. At temperature 0, `top_p` and `seed` have no effect."""
        temperature = 1.0 if self.temperature is None else self.temperature
        return CompletionOptions(
            max_tokens=self.max_tokens or _DEFAULT_TOKENS,
            beams=1,
            length_penalty=0,
            temperature=temperature,
            top_p=1.0 if self.top_p is None or not temperature else self.top_p,
            seed=None if self.seed is None or not temperature else self.seed & MOST_SEED,
            stop=self.stop or None,
            logprobs=self.logprobs,
            stream=bool(self.stream),
            truncate=self.truncate,
        )


class CompletionLogprobs(BaseModel):
    """The tokens of a choice with the log-probabilities of the model, before temperature."""

    tokens: list[str] = Field(description="Spelling of each token, with the end token if the model ended the choice.")
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] = Field(
        description="The most probable tokens at each place, and the chosen one."
    )
    text_offset: list[int] = Field(
        description="Start of each token in prompt + text, in characters (Unicode code points)."
    )


LogprobsInPieces = Annotated[CompletionLogprobs, AS_IT_IS]
"""`Logprobs`, which become JSON piece by piece."""


class CompletionChoice(BaseModel):
    """A continuation of a prompt, or a part of one."""

    index: int = Field(description="Choice j of prompt i has the index i * `n` + j.")
    text: str
    logprobs: LogprobsInPieces | None
    finish_reason: Literal["stop", "length"] | None = Field(
        description="`stop`: the model ended the text, or a stop string occurred; `length`: the text has `max_tokens`, "
        "or the deadline passed. `null` in all but the last chunk of a choice."
    )


class CompletionUsage(BaseModel):
    """The tokens of a request."""

    prompt_tokens: int = Field(
        description="Tokens of the prompts, each prompt counted once, with the token that the model adds."
    )
    completion_tokens: int = Field(description="Decoded tokens of all choices.")
    total_tokens: int


class CompletionAnswer(BaseModel):
    """An answer, or a chunk of one."""

    id: str = Field(examples=["cmpl-2f0c8f3f6c5e4e58"])
    object: Literal["text_completion"] = "text_completion"
    created: int = Field(description="Start of the answer, in seconds since 1970.")
    model: str
    system_fingerprint: str = Field(description="Name and version of the model.", examples=["lm-en/1"])
    choices: list[CompletionChoice]
    usage: CompletionUsage | None = None


class CompletionErrorDetail(BaseModel):
    """An error."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(description="The refused member of the request, if known.")
    code: str = Field(examples=["model_not_found"])


class CompletionError(BaseModel):
    """The last event of a stream that fails."""

    error: CompletionErrorDetail
