"""What a manifest says of a version, and what follows from it."""

from typing import Annotated, Literal, assert_never

from pydantic import Field

from app.store.architecture import Architecture
from app.store.classifier import Classifier
from app.store.confidence import Confidence
from app.store.decoding import Decoding, TokenLimits
from app.store.encoder_decoder import EncoderDecoder
from app.store.encoders import FramesEncoder, SeriesEncoder, TextEncoder
from app.store.file_entry import FileEntry, FileName
from app.store.forecaster import Forecaster
from app.store.image_encoder import ImageEncoder
from app.store.image_input import ImageInput
from app.store.language_model import LanguageModel
from app.store.names import MOST_VERSION, NAME
from app.store.part import Part
from app.store.registers import Registers
from app.store.series_input import SeriesInput
from app.store.tagger import Tagger
from app.store.text_input import TokenizerUse
from app.store.training_facts import Quality, Training
from app.store.window_language_model import WindowLanguageModel

TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
SourceName = Literal["text", "image", "series", "frames"]
AnswerName = Literal["label", "tags", "tokens", "values", "state"]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class Description(Part):
    """The members of a manifest, and what follows from them."""

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME)]
    version: Annotated[int, Field(gt=0, le=MOST_VERSION)]
    task: TaskName = Field(description="A task of the service, such as sentiment, captioning, translation, completion.")
    description: str
    domain: dict[Language, Annotated[str, Field(max_length=1000)]] | None = Field(
        None, description="What inputs the model is for, in a sentence, by language: en, ko."
    )
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
    registers: Registers | None = Field(None, description="Only of a translation model that takes a register.")
    labels: tuple[str, ...] = ()
    tag_at: Literal["first", "last"] = Field("first", description="The token of a word that gives the tag of the word.")
    image: ImageInput | None = None
    frames: Annotated[int, Field(gt=0, le=1000)] | None = Field(
        None, description="The number of frames that a clip is sampled to, evenly spaced; without it, all its frames."
    )
    series: SeriesInput | None = None
    decoding: Decoding | None = None
    confidence: Confidence | None = Field(
        None, description="Only of a model that answers with tokens and was calibrated: its answers have a confidence."
    )
    limits: TokenLimits = TokenLimits()
    precision: Literal["auto", "float32", "int8"] = Field(
        "auto",
        description="float32 overrides the setting `precision`, so that answers equal the original code's. int8: the "
        "setting `auto` may serve 8-bit weights, since their accuracy is measured.",
    )
    parameters: Annotated[int, Field(gt=0, lt=2**50)]
    files: dict[FileName, FileEntry]
    licence: str
    training: Training | None = None
    quality: tuple[Quality, ...] = ()

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

    @property
    def fixed_source(self) -> int | None:
        """The steps of every source, where the manifest says them: a window, or a length that texts are padded to."""
        if self.series is not None:
            return self.series.window
        length = None if self.tokenizer is None else self.tokenizer.length
        is_padded = length is not None and length.pad is not None
        return length.to if length is not None and is_padded else self.frames
