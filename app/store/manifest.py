"""The manifest of a version: all that is needed to run the version and to describe it."""

import math
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal, Self, assert_never

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from app.store.architecture import (
    Architecture,
    Classifier,
    EncoderDecoder,
    Forecaster,
    FramesEncoder,
    ImageEncoder,
    ImageSize,
    LanguageModel,
    Part,
    SeriesEncoder,
    Tagger,
    TextEncoder,
    WindowLanguageModel,
)
from app.store.names import MOST_VERSION, NAME, is_file_name

MOST_TOKENS = 10_000  # that a version may decode, or pad a source to
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
SourceName = Literal["text", "image", "series", "frames"]
AnswerName = Literal["label", "tags", "tokens", "values", "state"]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Search = Literal["full", "shrinking", "gaps", "past_end"]
Until = Literal["beams", "best", "places"]
Id = Annotated[int, Field(ge=0, lt=2**31)]
Ids = tuple[Id, ...]
Tokens = Annotated[int, Field(gt=0, le=MOST_TOKENS)]
Float32 = Annotated[float, Field(ge=-3e38, le=3e38)]  # a network reads it
Deviation = Annotated[float, Field(ge=1e-30, le=3e38)]  # the same, and numbers are divided by it
_LEAST_SCALE = 1e-300  # numbers are divided by it in float64
_MOST_NUMBERS = 4_000_000  # in a window
_MOST_SLOW_STEPS = 50_000  # of one source, through all layers whose steps are computed one by one


def _plain_name(name: str) -> str:
    if not is_file_name(name):
        raise ValueError("files need plain names without a folder, of at most 100 printable characters")
    return name


FileName = Annotated[str, AfterValidator(_plain_name)]


class FileEntry(Part):
    """SHA-256 and size in bytes of a file of the version."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0, lt=2**50)]


class FixedLength(Part):
    """Cut every source to `to` ids, and pad a shorter one with the id `pad`; without `pad` it stays short. `cut_side`
    is where ids are left out, `pad_side` where padding goes."""

    to: Tokens
    pad: Id | None = None
    pad_side: Literal["left", "right"] = "left"
    cut_side: Literal["left", "right"] = "right"


class Replacement(Part):
    """Replaces each match of `pattern`, a regular expression of Python's `re` without references to groups. `by` is
    the new text; `\\1` in it is what the first group matched."""

    pattern: Annotated[str, Field(min_length=1, max_length=500)]
    by: Annotated[str, Field(max_length=100)] = ""


CleaningStep = Replacement | Literal["lower", "lower_ascii", "without_accents"]


class TokenizerUse(Part):
    """How texts become ids and ids become text. The file has the format of the `tokenizers` library. A manifest may
    have `left_pad` with `to` and `id` instead of `length`, as it once was."""

    file: FileName = "tokenizer.json"
    prepend: Ids = Field((), max_length=64, description="Ids put before every source.")
    append: Ids = Field((), max_length=64, description="Ids put after every source.")
    split: Annotated[str, Field(pattern=r"^(file|spacy:[a-z]{2,3}|nltk|fastai(:[a-z]{2,3})?)$")] = Field(
        "file",
        description="Word splitter: the tokenizer file itself, spaCy's rules for a language (spacy:de; extra "
        "'spacy'), NLTK's (extra 'nltk') or fastai's rules for English (fastai; extra 'spacy') or another language "
        "(fastai:de). But for the first, each word is looked up in the file's vocabulary.",
    )
    cleaning: tuple[CleaningStep, ...] = Field(
        (),
        max_length=64,
        description="Steps on the whole text before it is split: replacements by regular expressions, lower case (of "
        "all letters, or of A to Z), letters without accents.",
    )
    lower: bool = Field(
        False, description="Convert text to lower case: with spaCy after splitting, otherwise before splitting."
    )
    white_space: Literal["kept", "plain"] = Field(
        "kept",
        description="kept: the file reads a text as it is. plain: soft hyphens and characters without width are "
        "removed, and a run of white space of any kind is one space, none at either end.",
    )
    reverse: bool = Field(False, description="Reverse the order of the source ids.")
    length: FixedLength | None = Field(
        None,
        description="Most ids of a source, or its fixed length, prepended and appended ids included. The network reads "
        "padding like words, unless its encoder masks the id.",
    )
    empty: Literal["refuse", "read"] = Field(
        "refuse",
        description="A text without a word is refused, or read as what is left of it: prepended and appended ids, and "
        "padding.",
    )
    hidden: Ids = Field(
        (), description="Ids that the model may decode but that are left out of the text, such as <start>."
    )
    unknown: Literal["unk", "refuse", "skip"] | Id = Field(
        "unk",
        description="Replacement for a word outside the vocabulary: unk (the file's unknown token), refuse (an error "
        "that names the word), skip (nothing), or an id.",
    )

    @model_validator(mode="before")
    @classmethod
    def _length_was_left_pad(cls, values: object) -> object:
        if not isinstance(values, dict) or "left_pad" not in values or "length" in values:
            return values
        old = values["left_pad"]
        if isinstance(old, dict):
            old = {("pad" if key == "id" else key): value for key, value in old.items()}
        return {key: value for key, value in values.items() if key != "left_pad"} | {"length": old}


class ImageInput(Part):
    """How an image file becomes the network's input.

    `resize`: `squash` scales the image to a square of `size` and ignores its aspect ratio. `crop` scales the shorter
    side to `shorter_side` and takes the central square. Then each channel, scaled to 0..1, is normalised by `mean` and
    `std`. `reading`: `careful` applies the EXIF orientation, puts transparency over white and scales 16-bit samples.
    `plain` is `Image.open(file).convert("RGB")`, as most training scripts do.
    """

    size: ImageSize = 224
    resize: Literal["squash", "crop"] = "squash"
    shorter_side: Annotated[int, Field(gt=0, le=4096)] | None = None
    resample: Literal["bilinear", "lanczos"] = "bilinear"
    reading: Literal["careful", "plain"] = "careful"
    mean: tuple[Float32, Float32, Float32]
    std: tuple[Deviation, Deviation, Deviation]

    @model_validator(mode="after")
    def _crop_has_a_shorter_side(self) -> Self:
        if (self.resize == "crop") != (self.shorter_side is not None) or (self.shorter_side or self.size) < self.size:
            raise ValueError("image.resize 'crop' needs shorter_side >= size; 'squash' takes no shorter_side")
        return self


def _check_affine(method: str, shift: float, scale: float) -> None:
    """A scale that overflows or vanishes makes each number of a series infinite, or NaN."""
    if not (math.isfinite(shift) and math.isfinite(scale) and scale >= _LEAST_SCALE):
        raise ValueError(f"scaling '{method}' is (x - {shift:g}) / {scale:g}: both must be finite, the second positive")


class MinMax(Part):
    """Numbers from `minimum` to `maximum` become `low` to `high`, linearly; numbers outside go on linearly."""

    method: Literal["min-max"] = "min-max"
    minimum: float
    maximum: float
    low: Float32 = 0.0
    high: Float32 = 1.0

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not (self.minimum < self.maximum and self.low < self.high):
            raise ValueError("scaling 'min-max' needs minimum < maximum and low < high")
        _check_affine(self.method, *self.affine)
        return self

    @property
    def affine(self) -> tuple[float, float]:
        """`shift` and `scale` of (x - shift) / scale."""
        scale = (self.maximum - self.minimum) / (self.high - self.low)
        return self.minimum - self.low * scale, scale

    @property
    def middle(self) -> float:
        return (self.minimum + self.maximum) / 2


class Standard(Part):
    """Numbers less their mean, divided by their standard deviation."""

    method: Literal["standard"] = "standard"
    mean: float
    std: PositiveFloat

    @model_validator(mode="after")
    def _is_a_scale(self) -> Self:
        _check_affine(self.method, *self.affine)
        return self

    @property
    def affine(self) -> tuple[float, float]:
        """`shift` and `scale` of (x - shift) / scale."""
        return self.mean, self.std

    @property
    def middle(self) -> float:
        return self.mean


class Feature(Part):
    """A column of a series. `log1p` comes before `scaling`: ln(1 + x)."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    log1p: bool = False
    scaling: Annotated[MinMax | Standard, Field(discriminator="method")] | None = None

    @property
    def affine(self) -> tuple[float, float]:
        """`shift` and `scale` of (x - shift) / scale."""
        return (0.0, 1.0) if self.scaling is None else self.scaling.affine


class SeriesInput(Part):
    """How rows of numbers become the network's input, and its outputs become numbers.

    `features` are the columns of a row, in order. `targets` are those of a forecast, with their own scaling. `window`
    is the number of steps that the network reads; without it a series has any length. Of a longer series the last
    `window` steps count; a shorter one is refused, or padded on one side with rows of `pad_value` (after scaling).

    `missing` numbers are refused, or replaced before scaling: by the one before (`previous`; the first one after, at
    the start), by a straight line between both sides (`linear`), by `zero`, or by `mean` (the scaling's mean, or the
    middle of its range).
    """

    features: tuple[Feature, ...] = Field(min_length=1, max_length=10_000)
    targets: tuple[Feature, ...] = Field((), max_length=10_000)
    window: Annotated[int, Field(gt=0, le=10_000)] | None = None
    pad: Literal["refuse", "left", "right"] = "refuse"
    pad_value: Float32 = 0.0
    missing: Literal["refuse", "previous", "linear", "zero", "mean"] = "refuse"
    interval: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="The time between two steps in words, such as `1 day`."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for columns in (self.features, self.targets):
            if len({column.name for column in columns}) < len(columns):
                raise ValueError("two columns of 'series' have the same name")
        if self.window is not None and self.window * len(self.features) > _MOST_NUMBERS:
            raise ValueError(f"a window of {self.window} steps has more than {_MOST_NUMBERS:,} numbers")
        if self.pad != "refuse" and self.window is None:
            raise ValueError("series.pad needs series.window")
        if self.missing == "mean" and any(column.scaling is None for column in self.features):
            raise ValueError("series.missing 'mean' needs a scaling of each feature, which has the mean")
        return self


class Decoding(Part):
    """How tokens are decoded: special ids, and defaults of the decoding options (`min_tokens`, `max_tokens`, `beams`,
    `length_penalty`).

    `bos` is the first input, `eos` ends a hypothesis. `suppress` sets the probability of ids to zero before the
    softmax. `forbidden` excludes ids after the softmax, so the other probabilities do not change. `fixed_steps` ignores
    `eos`: every hypothesis has `max_tokens` tokens.

    `search` chooses the beam search after a hypothesis has ended:

    - `full` keeps its width.
    - `shrinking` continues with one beam fewer. It returns unfinished hypotheses only if none has ended (Xu et al.
      2015).
    - `gaps` ranks as many continuations as it has beams, ends included, so the beam is narrower until the next step
      fills it (OpenNMT-py).
    - `past_end` keeps ended hypotheses among the beams, continues after the end, and returns the tokens before the end
      (joeynmt).

    At `max_tokens`, `gaps` and `past_end` return unfinished hypotheses beside the ended ones.

    `until` chooses when a search stops:

    - `beams`: as many hypotheses as beams have ended.
    - `best`: `n_best` hypotheses have ended, and the most probable continuation of a step is an end.
    - `places`: each rank among the most probable continuations has held an end.
    """

    bos: Id
    eos: Annotated[int, Field(ge=-(2**31), lt=2**31)]
    suppress: Ids = ()
    forbidden: Ids = ()
    min_tokens: Annotated[int, Field(ge=0, le=MOST_TOKENS)] = 0
    max_tokens: Tokens
    beams: Annotated[int, Field(ge=1, le=16)] = 1
    length_penalty: Annotated[float, Field(ge=-10, le=10)] = 0.0
    penalty_tokens: Annotated[int, Field(ge=0, le=1)] = Field(
        0, description="Tokens that the length penalty counts beside those decoded: OpenNMT-py counts the first input."
    )
    search: Search = "full"
    until: Until = "beams"
    fixed_steps: bool = False
    replace_unknown: Id | None = Field(
        None,
        description="The id of the unknown word. In the text of an answer it is replaced by the word of the source "
        "with the highest attention (OpenNMT-py: -replace_unk).",
    )

    @property
    def end(self) -> int:
        """The id that ends a hypothesis; -1, which is no token's id, with `fixed_steps`."""
        return -1 if self.fixed_steps else self.eos


class TokenLimits(Part):
    """The version's limits: ids of a source, and the highest `max_tokens` of a request."""

    source_tokens: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    max_tokens: Tokens | None = None


class Quality(Part):
    """A measured number, and the command that reproduces it."""

    measure: str
    value: float
    data: str
    command: str
    measured: date


class Training(Part):
    """How the weights were trained; MODEL_CARD.md has the details."""

    recipe: str
    minutes: Annotated[int, Field(gt=0, lt=2**31)]


class Manifest(Part):
    """`manifest.json` of one version of one model."""

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME)]
    version: Annotated[int, Field(gt=0, le=MOST_VERSION)]
    task: TaskName = Field(description="A task of the service, such as sentiment, captioning, translation, completion.")
    description: str
    default: bool = Field(False, description="Use this model for requests of its task and language that name no model.")
    default_since: Annotated[int, Field(ge=0, lt=2**40)] = Field(
        0, description="Unix time of that choice: of several defaults of a task and language the latest answers."
    )
    source_language: Language | None = None
    target_language: Language | None = None
    architecture: Architecture
    tokenizer: TokenizerUse | None = Field(None, description="Only of a network that reads texts or decodes tokens.")
    target_tokenizer: TokenizerUse | None = Field(
        None, description="Tokenizer of the target language, if source and target have separate vocabularies."
    )
    one_sentence: bool = Field(
        False,
        description="The model was trained on single sentences: each sentence and line of a source is read on its own, "
        "unless a request says otherwise.",
    )
    labels: tuple[str, ...] = ()
    tag_at: Literal["first", "last"] = Field("first", description="The token of a word that gives the tag of the word.")
    image: ImageInput | None = None
    frames: Annotated[int, Field(gt=0, le=1000)] | None = Field(
        None, description="The number of frames that a clip is sampled to, evenly spaced; without it, all its frames."
    )
    series: SeriesInput | None = None
    decoding: Decoding | None = None
    limits: TokenLimits = TokenLimits()
    precision: Literal["auto", "float32"] = Field(
        "auto", description="float32 overrides the setting `precision`, so that answers equal the original code's."
    )
    parameters: Annotated[int, Field(gt=0, lt=2**50)]
    files: dict[FileName, FileEntry]
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
        if self.one_sentence and (self.source, self.answer, self.continues) != ("text", "tokens", False):
            raise ValueError("only a network from text to other text takes one_sentence")
        self._check_answer()
        self._check_source()
        self._check_window()
        self._check_ids()
        return self

    def _check_answer(self) -> None:
        architecture = self.architecture
        match architecture:
            case Classifier() | Tagger():
                if len(self.labels) != architecture.labels:
                    words = architecture.kind
                    raise ValueError(f"the {words} has {architecture.labels} labels, and 'labels' {len(self.labels)}")
            case Forecaster():
                if self.series is None or len(self.series.targets) != architecture.targets:
                    raise ValueError(
                        f"the forecaster has {architecture.targets} targets; name as many in series.targets"
                    )
                features, targets = self.series.features, self.series.targets
                decoder = architecture.decoder if architecture.is_fed else None
                fed = decoder is not None and decoder.first_input == "last"
                if architecture.feedback != "none" and targets != features:
                    raise ValueError("feedback needs targets equal to the features: names, scaling and order")
                if architecture.feedback == "window" and self.series.window is None:
                    raise ValueError("feedback 'window' needs series.window")
                if fed and not set(targets) <= set(features):
                    raise ValueError("first_input 'last' needs targets that are features, with the same scaling")
                if self.series.pad == "right" and (fed or architecture.feedback != "none"):
                    raise ValueError(
                        "series.pad 'right' puts padding between a short series and the row after it: feedback and "
                        "first_input 'last' need pad 'left' or 'refuse'"
                    )
            case LanguageModel() | WindowLanguageModel():
                self._check_decoding()
                if self.tokenizer is not None and (self.tokenizer.reverse or self.tokenizer.length):
                    raise ValueError("a language_model continues the end of a text: no tokenizer.reverse, no length")
            case EncoderDecoder():
                self._check_decoding()
            case _:
                assert_never(architecture)

    def _check_source(self) -> None:
        encoder = self.architecture.encoder
        size = features = None
        match encoder:
            case TextEncoder():
                pass
            case ImageEncoder():
                size = encoder.image_size
            case FramesEncoder():
                size = encoder.image.image_size
            case SeriesEncoder():
                features = encoder.features
            case _:
                assert_never(encoder)
        if size != (self.image.size if self.image else None):
            raise ValueError("an image encoder needs 'image' of its own image_size; no other network has one")
        if features != (len(self.series.features) if self.series else None):
            raise ValueError(
                "a series encoder needs 'series' with as many features as it reads; no other network has it"
            )
        if isinstance(encoder, SeriesEncoder) and encoder.transposed not in (None, self.series and self.series.window):
            raise ValueError(f"encoder.transposed is {encoder.transposed}: series.window must be the same")
        if self.frames is not None and not isinstance(encoder, FramesEncoder):
            raise ValueError("only a network over frames takes 'frames'")
        reads_tokens = isinstance(encoder, TextEncoder) or self.answer == "tokens"
        if reads_tokens != (self.tokenizer is not None):
            raise ValueError("a network that reads texts or decodes tokens needs 'tokenizer'; no other network has one")

    def _check_window(self) -> None:
        """Every source has the steps that the network needs, and the length for which a network was made that lays its
        steps side by side."""
        architecture, least = self.architecture, self.architecture.least_steps
        window = self.series.window if self.series is not None else self.frames
        if window is not None and window < least:
            raise ValueError(f"series.window or frames is {window}, but the network needs {least} steps")
        if self.tokenizer is not None and isinstance(architecture.encoder, TextEncoder):
            self._check_length(self.tokenizer.length, least)
        self._check_slow_cells()
        if not isinstance(architecture, Classifier | Forecaster) or "flatten" not in architecture.pooling:
            return
        length = self.frames
        if self.series is not None:
            length = self.series.window
        elif self.tokenizer is not None:
            length = None if self.tokenizer.length is None else self.tokenizer.length.to
        if length != architecture.window:
            raise ValueError(
                f"pooling 'flatten' reads {architecture.window} steps: series.window, frames or the length of "
                "'tokenizer' must be the same"
            )

    @property
    def fixed_source(self) -> int | None:
        """The steps of every source, where the manifest says them: a window, or a length that texts are padded to."""
        if self.series is not None:
            return self.series.window
        length = None if self.tokenizer is None else self.tokenizer.length
        is_padded = length is not None and length.pad is not None
        return length.to if length is not None and is_padded else self.frames

    def _check_slow_cells(self) -> None:
        """One source does not hold the engine for long, although its steps are computed one by one."""
        encoder, steps = self.architecture.encoder, self.fixed_source
        if isinstance(encoder, ImageEncoder) or steps is None or encoder.is_divisible:
            return
        slow = encoder.slow_layers
        if slow * steps > _MOST_SLOW_STEPS:
            raise ValueError(
                f"every source has {steps} steps, through {slow} layers of cells that torch.nn does not compute; the "
                f"limit is {_MOST_SLOW_STEPS // slow} steps"
            )

    def _check_length(self, length: FixedLength | None, least: int) -> None:
        """Some text is long enough for the network, and short enough for the limit."""
        most = self.limits.source_tokens
        if length is not None and length.to < least:
            raise ValueError(f"tokenizer.length.to is {length.to}, but the network needs {least} tokens")
        if most is not None and most < least:
            raise ValueError(f"limits.source_tokens is {most}, but the network needs {least} tokens")
        if length is not None and length.pad is not None and most is not None and length.to > most:
            raise ValueError(
                f"tokenizer.length pads every text to {length.to} tokens, but limits.source_tokens is {most}"
            )

    def _check_decoding(self) -> None:
        if self.decoding is None:
            raise ValueError("a network that answers with tokens needs 'decoding'")
        if self.decoding.replace_unknown is not None:
            self._check_replacing(self.decoding.replace_unknown)

    def _check_replacing(self, unknown: int) -> None:
        """An unknown word has one source word with the highest attention, and shows in the text."""
        architecture, use = self.architecture, self.target_tokenizer or self.tokenizer
        chooses = isinstance(architecture, EncoderDecoder) and architecture.decoder.attention.chooses
        if not chooses or not isinstance(architecture.encoder, TextEncoder) or not architecture.encoder.keeps_steps:
            raise ValueError(
                "decoding.replace_unknown needs attention that chooses among the tokens of a text: leave it out"
            )
        if use is not None and unknown in use.hidden:
            raise ValueError("decoding.replace_unknown is a hidden id, which no text shows")

    def _check_ids(self) -> None:
        """Every id that the manifest names is one of the network's."""
        use, decoding = self.tokenizer, self.decoding
        if use is None:
            return
        pad = () if use.length is None or use.length.pad is None else (use.length.pad,)
        unknown = (use.unknown,) if isinstance(use.unknown, int) else ()
        _check_within("tokenizer", self.source_vocabulary, (*use.prepend, *use.append, *pad, *unknown))
        if self.target_tokenizer is None:
            _check_within("tokenizer.hidden", self.target_vocabulary, use.hidden)
        else:
            _check_within("target_tokenizer.hidden", self.target_vocabulary, self.target_tokenizer.hidden)
        if decoding is not None:
            end = () if decoding.fixed_steps else (decoding.eos,)
            excluded = {*decoding.suppress, *decoding.forbidden}
            replaced = () if decoding.replace_unknown is None else (decoding.replace_unknown,)
            _check_within("decoding", self.target_vocabulary, (decoding.bos, *end, *replaced, *excluded))
            if len(excluded) == self.target_vocabulary:
                raise ValueError("decoding.suppress and decoding.forbidden leave no token to decode")

    @property
    def source_vocabulary(self) -> int:
        """Ids that the network reads; those that it decodes if it reads no text."""
        encoder = self.architecture.encoder
        match encoder:
            case TextEncoder():
                return encoder.vocabulary_size
            case ImageEncoder() | FramesEncoder() | SeriesEncoder():
                return self.target_vocabulary
            case _:
                assert_never(encoder)

    @property
    def target_vocabulary(self) -> int:
        """Ids that the network decodes; those that it reads if it answers with something else; 0 without tokens."""
        match self.architecture:
            case Classifier() | Tagger() | Forecaster():
                encoder = self.architecture.encoder
                return encoder.vocabulary_size if isinstance(encoder, TextEncoder) else 0
            case EncoderDecoder() | LanguageModel() | WindowLanguageModel():
                return self.architecture.decoder.vocabulary_size
            case _:
                assert_never(self.architecture)

    @property
    def tokenizer_files(self) -> tuple[str, ...]:
        """The files of its tokenizers."""
        return tuple(use.file for use in (self.tokenizer, self.target_tokenizer) if use is not None)

    @property
    def source(self) -> SourceName:
        """The kind of source that the network reads."""
        return self.architecture.encoder.kind

    @property
    def answer(self) -> AnswerName:
        """The kind of answer that the network gives."""
        match self.architecture:
            case Classifier():
                return "label"
            case Tagger():
                return "tags"
            case Forecaster():
                return "values"
            case EncoderDecoder() | LanguageModel() | WindowLanguageModel():
                return "tokens"
            case _:
                assert_never(self.architecture)

    @property
    def continues(self) -> bool:
        """Whether the network continues its source."""
        return isinstance(self.architecture, LanguageModel | WindowLanguageModel)

    @property
    def key(self) -> str:
        """`name/version`, the version's name between front end and engine."""
        return f"{self.name}/{self.version}"

    @property
    def languages(self) -> tuple[str, ...]:
        """Source language, then target language, without repeats."""
        pair = (self.source_language, self.target_language)
        return tuple(dict.fromkeys(language for language in pair if language))

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files.values())


def _check_within(where: str, size: int, ids: Iterable[int]) -> None:
    beyond = next((token for token in ids if not 0 <= token < size), None)
    if beyond is not None:
        raise ValueError(f"{where} has the id {beyond}; the ids of this network are 0 to {size - 1}")
