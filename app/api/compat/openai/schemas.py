"""What OpenAI's clients send to `/v1/completions` and read from it, and what of it the tasks are asked."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.compat.unsupported import Only
from app.api.options import Options
from app.tasks.answers.decoding_options import MOST_SEED, DecodingOptions, StopString

_USUAL_TOKENS = 16  # as OpenAI's own


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


class StreamOptions(BaseModel):
    """How a stream is told."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool | None = Field(None, description="End with a chunk that has no choice and `usage`.")
    include_obfuscation: Annotated[object, Only(False)] = None


class CompletionRequest(BaseModel):
    """Prompts to go on with, as OpenAI's clients send them. What is not supported is refused, never ignored."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=128)] = Field(
        description="Name of a language model in `GET /v1/models`, or `name/version`."
    )
    prompt: Annotated[
        list[str],
        BeforeValidator(_prompts, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)] | None),
    ] = Field([""], description="One text or a list; an empty one is gone on with from its beginning.")
    max_tokens: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description=f"Most tokens of a choice; {_USUAL_TOKENS} when left out."
    )
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = Field(
        None, description="0 takes the most probable token; 1 when left out."
    )
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Draw from the fewest tokens that hold this share of the probability."
    )
    n: Annotated[int, Field(ge=1, le=128)] | None = Field(None, description="Choices for each prompt; 1 when left out.")
    seed: Annotated[int, Field(ge=-MOST_SEED - 1, le=MOST_SEED)] | None = Field(
        None, description="Draws the same again. Choice i of the answer is drawn with `seed` + i."
    )
    stop: Annotated[
        Annotated[list[StopString], Field(max_length=4)] | None,
        BeforeValidator(_stops, json_schema_input_type=StopString | list[StopString] | None),
    ] = Field(None, description="Up to 4 strings; a choice ends before the first of them.")
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = Field(
        None, description="Tell `logprobs`, and so many alternatives at each place. Not with `echo`."
    )
    echo: bool | None = Field(None, description="Tell the prompt before what goes on from it.")
    stream: bool | None = Field(None, description="Answer with server-sent events.")
    stream_options: StreamOptions | None = Field(None, description="Only with `stream`.")
    user: str | None = Field(None, description="Taken, and used for nothing.")
    best_of: Annotated[int, Field(ge=1)] | None = Field(None, description="Not supported, unless it is `n`.")
    frequency_penalty: Annotated[object, Only(0)] = None
    presence_penalty: Annotated[object, Only(0)] = None
    logit_bias: Annotated[object, Only({})] = None
    suffix: Annotated[object, Only("")] = None
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(0, description="Not OpenAI's: what has more is run sooner.")
    timeout_ms: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Not OpenAI's: milliseconds in which an answer is of use."
    )

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.best_of not in (None, self.choices):
            raise PydanticCustomError("best_of", "best_of is not supported: leave it out, or let it be n")
        if self.echo and self.logprobs is not None:
            raise PydanticCustomError(
                "echo", "echo with logprobs is not supported, as the prompt has none: leave out one of them"
            )
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("stream_options", "stream_options are of a stream; set stream to true as well")
        return self

    @property
    def choices(self) -> int:
        """For each prompt."""
        return self.n or 1

    @property
    def inputs(self) -> list[str]:
        """A text for each choice, those of the first prompt first."""
        return [prompt for prompt in self.prompt for _ in range(self.choices)]

    def options(self) -> Options:
        """Which model is to answer, and when."""
        name, _, version = self.model.partition("/")
        number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None
        is_name = number is None or number < 1
        return Options(
            model=self.model if is_name else name,
            version=None if is_name else number,
            priority=self.priority,
            timeout_ms=self.timeout_ms,
        )

    def decoding(self) -> DecodingOptions:
        """How choices are emitted. At temperature 0, which draws nothing, `top_p` and `seed` make no difference."""
        temperature = 1.0 if self.temperature is None else self.temperature
        return DecodingOptions(
            max_tokens=self.max_tokens or _USUAL_TOKENS,
            beams=1,
            length_penalty=0,
            temperature=temperature,
            top_p=1.0 if self.top_p is None or not temperature else self.top_p,
            seed=None if self.seed is None or not temperature else self.seed & MOST_SEED,
            stop=self.stop or None,
            logprobs=self.logprobs,
            stream=bool(self.stream),
        )


class CompletionLogprobs(BaseModel):
    """Tokens of a choice and their log-probabilities, the model's own, before temperature."""

    tokens: list[str] = Field(description="How each is spelt, the end included if the model ended it.")
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] = Field(
        description="At each place the most probable tokens, and the one that was taken."
    )
    text_offset: list[int] = Field(
        description="Where each begins in the prompt and the text side by side, in characters (Unicode code points)."
    )


class CompletionChoice(BaseModel):
    """What goes on from a prompt, or a part of it."""

    index: int = Field(description="Choice j of prompt i is number i * `n` + j.")
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None = Field(
        description="`stop`: the model ended it, or a stop string was reached; `length`: `max_tokens` were reached, or "
        "its time was over. `null` in all but the last chunk of a choice."
    )


class CompletionUsage(BaseModel):
    """What a request took."""

    prompt_tokens: int = Field(description="Tokens read, each prompt once, with what the model puts before it.")
    completion_tokens: int = Field(description="Tokens emitted, of all choices.")
    total_tokens: int


class CompletionAnswer(BaseModel):
    """An answer, or a chunk of one."""

    id: str = Field(examples=["cmpl-2f0c8f3f6c5e4e58"])
    object: Literal["text_completion"] = "text_completion"
    created: int = Field(description="When it was begun, in seconds since 1970.")
    model: str
    system_fingerprint: str = Field(description="Name and version that answered.", examples=["lm-en/1"])
    choices: list[CompletionChoice]
    usage: CompletionUsage | None = None


class CompletionErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(description="The member that was refused, if that is known.")
    code: str = Field(examples=["model_not_found"])


class CompletionError(BaseModel):
    """The last event of a stream that fails."""

    error: CompletionErrorDetail
