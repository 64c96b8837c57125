"""The manifest of a version: everything needed to run it and to say what it is."""

from datetime import date
from typing import Annotated, Literal, Self, assert_never

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from app.store.architecture import Architecture, Classifier, EncoderDecoder, ImageEncoder, LanguageModel, Part

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
SourceName = Literal["text", "image"]
AnswerName = Literal["label", "tokens"]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Search = Literal["full", "shrinking", "gaps", "past_end"]
Until = Literal["beams", "best", "places"]


class FileEntry(Part):
    """A file of the version, by its SHA-256 and its size in bytes."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: PositiveInt


class LeftPad(Part):
    """Sources of one length: the first `to` ids, behind as many times `id` as are missing."""

    to: PositiveInt
    id: NonNegativeInt


class TokenizerUse(Part):
    """How text becomes source ids and emitted ids become text. The file is of the `tokenizers` library."""

    file: str = "tokenizer.json"
    prepend: tuple[int, ...] = Field((), description="Ids put before every source.")
    append: tuple[int, ...] = Field((), description="Ids added at the end of every source.")
    split: Annotated[str, Field(pattern=r"^(file|spacy:[a-z]{2,3}|nltk)$")] = Field(
        "file",
        description="Who cuts a text into words: the file itself, spaCy's rules for a language (spacy:de; extra "
        "'spacy') or NLTK's (extra 'nltk'). The file's vocabulary is looked up word by word then.",
    )
    lower: bool = Field(
        False,
        description="Whether capitals become small letters: spaCy's words after they are cut, any other text before.",
    )
    reverse: bool = Field(False, description="Whether a source is read from its last id to its first.")
    left_pad: LeftPad | None = Field(
        None, description="The one length of all sources, what is put around them included; nothing masks the padding."
    )
    hidden: tuple[int, ...] = Field(
        (), description="Ids that may be emitted and are no part of the text, such as that of <start>."
    )
    unknown: Literal["unk", "refuse", "skip"] | NonNegativeInt = Field(
        "unk",
        description="What a word outside the vocabulary becomes: the file's unknown word, a refusal that names it, "
        "nothing, or an id.",
    )


class ImageInput(Part):
    """How an image becomes pixels: RGB, squashed to a square, or made so small that its shorter side is `shorter_side`
    and cropped to the square in its middle; then normalised per channel on the scale 0 to 1.

    `careful` turns a photo upright, lays transparency over white and scales 16-bit samples; `plain` does as training
    scripts mostly do, `Image.open(file).convert("RGB")` and nothing else.
    """

    size: PositiveInt = 224
    resize: Literal["squash", "crop"] = "squash"
    shorter_side: PositiveInt | None = None
    resample: Literal["bilinear", "lanczos"] = "bilinear"
    reading: Literal["careful", "plain"] = "careful"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @model_validator(mode="after")
    def _what_is_cropped_is_larger(self) -> Self:
        if (self.resize == "crop") != (self.shorter_side is not None) or (self.shorter_side or self.size) < self.size:
            raise ValueError("image.resize 'crop' needs shorter_side, at least as long as size; 'squash' has none")
        return self


class Decoding(Part):
    """How tokens are emitted: the first input, the id that ends, ids that are never chosen, and what is done when a
    request does not say it: tokens, beams and length penalty (see `Emit`).

    Ids in `suppress` have no probability; those in `forbidden` keep theirs, as where training code crosses them out
    after the softmax. With `fixed_steps` nothing ends before `max_tokens`, and `eos` is a token as any other.

    `search` is how a search goes on once a hypothesis has ended. A `full` one keeps its width. A `shrinking` one goes
    on with one beam less, and answers unfinished ones only if none has ended (as the code for Xu et al. 2015 does). One
    with `gaps` looks at as many continuations as it has beams, ends among them, and is narrower until the next step
    fills it up (as OpenNMT-py's does). `past_end` keeps what has ended among the beams, goes on behind the end, and
    answers up to the end (as joeynmt's does). The last two answer unfinished ones beside the others at `max_tokens`.

    `until` is when it stops: once as many hypotheses as `beams` have ended; once a step's most probable continuation
    was an end and as many have ended as are asked for (`best`); or once each of the places among the most probable
    continuations has held an end (`places`).
    """

    bos: int
    eos: int
    suppress: tuple[int, ...] = ()
    forbidden: tuple[NonNegativeInt, ...] = ()
    min_tokens: NonNegativeInt = 0
    max_tokens: PositiveInt
    beams: Annotated[int, Field(ge=1, le=16)] = 1
    length_penalty: float = 0.0
    search: Search = "full"
    until: Until = "beams"
    fixed_steps: bool = False

    @property
    def end(self) -> int:
        """The id at which emitting ends; -1, which no token has, if none does."""
        return -1 if self.fixed_steps else self.eos


class Limits(Part):
    """What the version takes: ids in a source, and the most tokens that can be asked of it."""

    source_tokens: PositiveInt | None = None
    max_tokens: PositiveInt | None = None


class Quality(Part):
    """A measured number, and the command that measures it again."""

    measure: str
    value: float
    data: str
    command: str
    measured: date


class Training(Part):
    """Where the weights come from; MODEL_CARD.md says more."""

    recipe: str
    minutes: PositiveInt


class Manifest(Part):
    """`manifest.json` of one version of one model."""

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME)]
    version: PositiveInt
    task: TaskName = Field(description="A task of the service, such as sentiment, captioning, translation, completion.")
    description: str
    default: bool = Field(
        False, description="Whether it answers when a request of its task and language names no model."
    )
    source_language: Language | None = None
    target_language: Language | None = None
    architecture: Architecture
    tokenizer: TokenizerUse
    target_tokenizer: TokenizerUse | None = Field(
        None, description="Of what a translation is written in, where source and target have vocabularies of their own."
    )
    labels: tuple[str, ...] = ()
    image: ImageInput | None = None
    decoding: Decoding | None = None
    limits: Limits = Limits()
    precision: Literal["auto", "float32"] = Field(
        "auto", description="float32: whatever the service's setting, the answers are those of the original code."
    )
    parameters: PositiveInt
    files: dict[str, FileEntry]
    licence: str
    training: Training | None = None
    quality: tuple[Quality, ...] = ()

    @model_validator(mode="after")
    def _parts_fit_the_network(self) -> Self:
        if self.target_tokenizer is not None and (self.source, self.answer, self.continues) != (
            "text",
            "tokens",
            False,
        ):
            raise ValueError("only a network from text to other text takes a target_tokenizer")
        match self.architecture:
            case Classifier(labels=labels):
                if len(self.labels) != labels:
                    raise ValueError(f"the classifier has {labels} labels, and 'labels' {len(self.labels)}")
            case LanguageModel():
                self._check_decoding()
                if not self.tokenizer.prepend:
                    raise ValueError("a language_model needs an id in tokenizer.prepend, after which a text begins")
                if self.tokenizer.reverse or self.tokenizer.left_pad:
                    raise ValueError("a language_model continues the end of a text: no tokenizer.reverse, no left_pad")
            case EncoderDecoder(encoder=encoder):
                self._check_decoding()
                size = encoder.image_size if isinstance(encoder, ImageEncoder) else None
                if size != (self.image.size if self.image else None):
                    raise ValueError("an image encoder needs 'image' of its own image_size; no other network has one")
            case architecture:
                assert_never(architecture)
        return self

    def _check_decoding(self) -> None:
        if self.decoding is None:
            raise ValueError("a network that answers with tokens needs 'decoding'")

    @property
    def source(self) -> SourceName:
        """The kind of source that the network reads."""
        is_image = isinstance(self.architecture, EncoderDecoder) and isinstance(self.architecture.encoder, ImageEncoder)
        return "image" if is_image else "text"

    @property
    def answer(self) -> AnswerName:
        """The kind of answer that the network gives."""
        match self.architecture:
            case Classifier():
                return "label"
            case EncoderDecoder() | LanguageModel():
                return "tokens"
            case architecture:
                assert_never(architecture)

    @property
    def continues(self) -> bool:
        """Whether the network continues its source."""
        return isinstance(self.architecture, LanguageModel)

    @property
    def key(self) -> str:
        """`name/version`: how engine and front end name a version to each other."""
        return f"{self.name}/{self.version}"

    @property
    def languages(self) -> tuple[str, ...]:
        """Source before target, each once."""
        pair = (self.source_language, self.target_language)
        return tuple(dict.fromkeys(language for language in pair if language))

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files.values())
