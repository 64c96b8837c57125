"""Bodies of requests and responses for Hugging Face's clients, and their options as decoding options."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.compat.hugging_face.long_texts import TextToContinue, TextToTranslate, TextToTranslateInto, Truncation
from app.api.compat.unsupported import Only
from app.api.options import Inputs
from app.json_pieces import AS_IT_IS
from app.tasks.answers.decoding_options import MOST_SEED, DecodingOptions, StopString
from app.tasks.options import LanguageCode
from app.tasks.request_form import RequestForm

_AS_SCORES = "scores are probabilities (softmax)"
_AS_NEW = "use max_new_tokens or min_new_tokens"


class HuggingFaceForm(RequestForm):
    """Refuses unsupported members."""

    model_config = ConfigDict(extra="forbid")


class InferenceOptions(HuggingFaceForm):
    """Options of Hugging Face's hosted service, which its clients send to any server. All are accepted without effect:
    a request always waits until its model is loaded, and answers are not cached."""

    wait_for_model: bool | None = Field(None, description="Accepted, without effect.")
    use_cache: bool | None = Field(None, description="Accepted, without effect.")
    use_gpu: bool | None = Field(None, description="Accepted, without effect.")
    dont_load_model: bool | None = Field(None, description="Accepted, without effect.")


class HuggingFaceRequest(HuggingFaceForm):
    """A request to a pipeline."""

    options: InferenceOptions | None = Field(None, description="Accepted, without effect.")


class Sampling(HuggingFaceForm):
    """Whether and how tokens are drawn."""

    do_sample: bool | None = Field(
        None, description="Draw tokens at random; true when left out if `temperature`, `top_k` or `top_p` is set."
    )
    temperature: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] | None = Field(
        None, description="A higher value flattens the distribution; 1 when left out."
    )
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        None, description="Draw from this number of most probable tokens; 0 means all."
    )
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Draw from the smallest set of tokens that holds this share of the probability."
    )
    typical_p: Annotated[object, Only(1)] = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = Field(
        None, description="Above 1, decoded tokens become less probable."
    )
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] | None = Field(None, description="Makes a draw repeatable.")
    max_new_tokens: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="Limit of tokens in an answer; the model's own when left out."
    )

    @model_validator(mode="after")
    def _sampling_agrees(self) -> Self:
        if self.do_sample is False and self._sampling_options:
            raise PydanticCustomError(
                "do_sample", "do_sample is false: leave out {names}", {"names": self._sampling_options}
            )
        if self.samples and self.temperature == 0:
            raise PydanticCustomError("temperature", "temperature 0 draws no token: set do_sample to false")
        return self

    @property
    def samples(self) -> bool:
        """Whether tokens are drawn."""
        return bool(self._sampling_options) if self.do_sample is None else self.do_sample

    @property
    def _sampling_options(self) -> str:
        """The names of set options that apply only if tokens are drawn."""
        are_set = {
            "temperature": self.temperature not in (None, 0, 1),
            "top_k": self.top_k not in (None, 0),
            "top_p": self.top_p not in (None, 1),
        }
        return ", ".join(name for name, is_set in are_set.items() if is_set)

    def sampling(self) -> dict[str, object]:
        """These as decoding options. Without drawing, a seed has no effect."""
        options: dict[str, object] = {
            "max_tokens": self.max_new_tokens,
            "repetition_penalty": 1.0 if self.repetition_penalty is None else self.repetition_penalty,
        }
        if self.samples:
            options |= {
                "temperature": 1.0 if self.temperature is None else self.temperature,
                "top_k": self.top_k or 0,
                "top_p": 1.0 if self.top_p is None else self.top_p,
                "seed": self.seed,
            }
        return options


class GenerateParameters(Sampling):
    """Decoding options with the names of `generate` in the library `transformers`."""

    min_new_tokens: Annotated[int, Field(ge=0, le=10_000)] | None = None
    min_p: Annotated[object, Only(0)] = None
    num_beams: Annotated[int, Field(ge=1, le=16)] | None = Field(
        None, description="Width of beam search; the model's own when left out."
    )
    length_penalty: Annotated[object, Only(instead="its formula differs from that of this service")] = None
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=100)] | None = None
    stop_strings: Annotated[list[StopString], Field(min_length=1, max_length=4)] | None = None
    max_length: Annotated[object, Only(instead=_AS_NEW)] = None
    min_length: Annotated[object, Only(0, instead=_AS_NEW)] = None
    early_stopping: Annotated[object, Only(False)] = None
    epsilon_cutoff: Annotated[object, Only(0)] = None
    eta_cutoff: Annotated[object, Only(0)] = None
    penalty_alpha: Annotated[object, Only(0)] = None
    num_beam_groups: Annotated[object, Only(1)] = None
    num_return_sequences: Annotated[object, Only(1)] = None
    use_cache: Annotated[object, Only(True)] = None

    def decoding(self) -> DecodingOptions:
        """These as decoding options."""
        return DecodingOptions.model_validate(
            {
                **self.sampling(),
                "min_tokens": self.min_new_tokens,
                "beams": self.num_beams,
                "no_repeat_ngram_size": self.no_repeat_ngram_size or 0,
                "stop": self.stop_strings,
            }
        )


class ClassificationParameters(HuggingFaceForm):
    """Options of the labels."""

    top_k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Number of best labels to return; all when left out."
    )
    function_to_apply: Annotated[object, Only("softmax", instead=_AS_SCORES)] = None
    truncation: Truncation = False


class ClassificationRequest(HuggingFaceRequest):
    """Texts to label."""

    inputs: Inputs
    parameters: ClassificationParameters = ClassificationParameters()


class ClassificationLabel(BaseModel):
    """A label and its probability."""

    label: str = Field(examples=["positive"])
    score: float = Field(examples=[0.97])


class TranslationParameters(HuggingFaceForm):
    """Languages and decoding options of a translation."""

    src_lang: LanguageCode | None = Field(None, description="ISO 639 code; must match the model.", examples=["en"])
    tgt_lang: LanguageCode | None = Field(None, description="ISO 639 code; must match the model.", examples=["ko"])
    clean_up_tokenization_spaces: Annotated[object, Only(False)] = None
    truncation: Truncation = False
    split_sentences: bool | None = Field(
        None,
        description="Not in Hugging Face's interface: translate each sentence and line of a text on its own. The "
        "model's own when left out.",
    )
    generate_parameters: GenerateParameters | None = None

    def options(self, *, has_languages: bool) -> TextToTranslate:
        """These as options of the task."""
        members = (self.generate_parameters or GenerateParameters()).decoding().model_dump()
        members |= {"truncate": self.truncation, "split_sentences": self.split_sentences}
        if has_languages:
            return TextToTranslateInto.model_validate(members | {"source": self.src_lang, "target": self.tgt_lang})
        return TextToTranslate.model_validate(members)


class TranslationRequest(HuggingFaceRequest):
    """Sentences to translate."""

    inputs: Inputs
    parameters: TranslationParameters = TranslationParameters()


class TranslationText(BaseModel):
    """A translation."""

    translation_text: str = Field(examples=["파일 열기"])


class ImageToTextParameters(HuggingFaceForm):
    """Decoding options of a sentence about an image."""

    max_new_tokens: Annotated[int, Field(ge=1, le=10_000)] | None = None
    generation_parameters: GenerateParameters | None = None

    @model_validator(mode="after")
    def _given_once(self) -> Self:
        if self.max_new_tokens and self.generation_parameters and self.generation_parameters.max_new_tokens:
            raise PydanticCustomError("max_new_tokens", "max_new_tokens is given twice: leave out one of them")
        return self

    def decoding(self) -> DecodingOptions:
        """These as decoding options."""
        options = (self.generation_parameters or GenerateParameters()).decoding()
        return options.model_copy(update={"max_tokens": self.max_new_tokens}) if self.max_new_tokens else options


class ImageToTextRequest(HuggingFaceRequest):
    """Images to describe, in JSON."""

    inputs: Inputs = Field(description="One image file in base64, or a list.")
    parameters: ImageToTextParameters | None = None


class GeneratedText(BaseModel):
    """A sentence about an image."""

    generated_text: str = Field(examples=["a man in a red shirt"])


class TextGenerationParameters(Sampling):
    """Decoding options with the names of the server `text-generation-inference`."""

    stop: Annotated[list[StopString], Field(max_length=4)] | None = Field(
        None, description="Up to 4 strings; the text ends before the first one that occurs."
    )
    return_full_text: bool | None = Field(None, description="Return the prompt before its continuation.")
    details: bool | None = Field(None, description="Return `details`: the tokens and the finish reason.")
    top_n_tokens: Annotated[int, Field(ge=0, le=20)] | None = Field(
        None, description="With `details` or `stream`: number of most probable tokens to return at each place."
    )
    decoder_input_details: Annotated[object, Only(False)] = None
    adapter_id: Annotated[object, Only()] = None
    best_of: Annotated[object, Only(1)] = None
    frequency_penalty: Annotated[object, Only(0)] = None
    grammar: Annotated[object, Only()] = None
    truncate: Annotated[object, Only(instead="it counts tokens; truncation cuts to the model's limit")] = None
    truncation: Truncation = False
    watermark: Annotated[object, Only(False)] = None


class TextGenerationRequest(HuggingFaceRequest):
    """Texts to continue."""

    inputs: Inputs
    parameters: TextGenerationParameters = TextGenerationParameters()
    stream: bool | None = Field(None, description="Answer with server-sent events; one text only.")

    @model_validator(mode="after")
    def _options_agree(self) -> Self:
        if self.stream and len(self.inputs) > 1:
            raise PydanticCustomError("stream", "a stream takes one text: send several requests")
        if self.stream and self.parameters.return_full_text:
            raise PydanticCustomError("return_full_text", "a stream does not support return_full_text: leave it out")
        if self.parameters.top_n_tokens and not (self.stream or self.parameters.details):
            raise PydanticCustomError("top_n_tokens", "top_n_tokens needs details or stream: set one of them to true")
        return self

    def decoding(self) -> DecodingOptions:
        """These as options of the task."""
        with_tokens = self.stream or self.parameters.details
        return TextToContinue.model_validate(
            {
                **self.parameters.sampling(),
                "beams": 1,
                "length_penalty": 0,
                "stop": self.parameters.stop or None,
                "logprobs": (self.parameters.top_n_tokens or 0) if with_tokens else None,
                "stream": bool(self.stream),
                "truncate": self.parameters.truncation,
            }
        )


class GenerationToken(BaseModel):
    """A token; `special` marks the end token."""

    id: int
    text: str
    logprob: float
    special: bool


class GenerationDetails(BaseModel):
    """The tokens of a text and its finish reason."""

    finish_reason: Literal["length", "eos_token", "stop_sequence"]
    generated_tokens: int
    seed: int | None = None
    prefill: list[GenerationToken] = []
    tokens: Annotated[list[GenerationToken], AS_IT_IS]
    top_tokens: Annotated[list[list[GenerationToken]], AS_IT_IS] | None = None


class Generation(BaseModel):
    """The continuation of a text."""

    generated_text: str
    details: GenerationDetails | None = None


class StreamDetails(BaseModel):
    """The finish reason and the counts of tokens of a text."""

    finish_reason: Literal["length", "eos_token", "stop_sequence"]
    generated_tokens: int
    input_length: int
    seed: int | None = None


class StreamedGeneration(BaseModel):
    """An event with a token; the last event has the whole text as well."""

    index: int = Field(description="Counted from 1.")
    token: GenerationToken
    generated_text: str | None = None
    details: StreamDetails | None = None
    top_tokens: list[GenerationToken] | None = None


class GenerationError(BaseModel):
    """The last event of a stream that fails."""

    error: str
    error_type: Literal["validation", "overloaded", "generation"]
