"""How texts become ids and ids become text, as a manifest describes it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.store.file_entry import FileName
from app.store.ids import Id, Ids, Tokens
from app.store.part import Part


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
