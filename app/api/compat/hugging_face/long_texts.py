"""Texts that are too long: Hugging Face's option `truncation`, and task options whose errors name it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.tasks.answers.decoding_options import DecodingOptions
from app.tasks.answers.label_kind import LabelOptions
from app.tasks.options import LanguagePair, SentenceOptions, TextOptions

_CUTS, _REFUSES = ("longest_first", "only_first"), "do_not_truncate"


def _cuts(value: object) -> bool:
    """Whether texts are cut. Without a second text, both strategies cut the only one."""
    if isinstance(value, bool):
        return value
    if value in _CUTS or value == _REFUSES:
        return value != _REFUSES
    raise PydanticCustomError("truncation", "Input should be true, false, longest_first, only_first or do_not_truncate")


Truncation = Annotated[
    bool,
    BeforeValidator(_cuts, json_schema_input_type=bool | Literal["longest_first", "only_first", "do_not_truncate"]),
    Field(
        description="`true`, `longest_first` and `only_first` cut a text that is too long, instead of refusing it: its "
        "end is left out; of a text to continue, its beginning."
    ),
]


class TextToRead(TextOptions):
    """Options of any task that reads texts."""

    too_long: ClassVar[str] = "split the text, or set truncation to true"


class TextToLabel(TextToRead, LabelOptions):
    """Options of a task that labels texts."""


class TextToContinue(TextToRead, DecodingOptions):
    """Options of a task that continues texts."""


class TextToTranslate(TextToRead, SentenceOptions, DecodingOptions):
    """Options of a task from text to text."""


class TextToTranslateInto(TextToTranslate, LanguagePair):
    """Options of a task from text to text with a pair of languages."""
