"""Keras' layer `TextVectorization`."""

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Regex, decoders
from tokenizers.pre_tokenizers import Split

from app.errors import ImportFailed
from app.importers.tokenizer import Vocabulary, checked
from app.store.text_input import CleaningStep, FixedLength, Replacement, TokenizerUse
from app.text.word_tokenizers import CHARACTERS, any_of, no_word, word_file

UNKNOWN_WORD = "[UNK]"
_SPACES = " \t\n\v\f\r"  # of ASCII alone
_BUT_BRACKETS = string.punctuation.replace("[", "").replace("]", "") + "¿"
_LOWER: CleaningStep = "lower_ascii"
_NO_PUNCTUATION = Replacement(pattern=f"[{re.escape(string.punctuation)}]", by="")
STANDARDIZE: Mapping[str, tuple[CleaningStep, ...]] = {
    "lower_and_strip_punctuation": (_LOWER, _NO_PUNCTUATION),
    "lower": (_LOWER,),
    "strip_punctuation": (_NO_PUNCTUATION,),
    "none": (),
    "lower_br_and_strip_punctuation": (_LOWER, Replacement(pattern="<br />", by=" "), _NO_PUNCTUATION),
    "lower_and_strip_punctuation_but_brackets": (
        _LOWER,
        Replacement(pattern=f"[{re.escape(_BUT_BRACKETS)}]", by=""),
    ),
}


def vocabulary_lines(text: str) -> list[str]:
    """The words of the asset `vocabulary.txt`: words by id, the first one empty (padding), the second `[UNK]`."""
    return text.split("\n")


def text_vectorization(
    config: Mapping[str, Any],
    words: Sequence[str] | None = None,
    *,
    standardize: str | None = None,
    cleaning: Sequence[CleaningStep] = (),
) -> Vocabulary:
    """The layer with its settings (`layer["config"]`) and words (None: those in the settings). `standardize`, one of
    STANDARDIZE, replaces that of the settings; it is needed where that one is a function of the user's: then
    ImportFailed says so. `cleaning` comes before it. Raises ImportFailed for n-grams and for an `output_mode` other
    than int."""
    steps = _steps(config, standardize)
    splits = {"whitespace": Split(Regex(any_of(_SPACES) + "+"), "removed"), "character": CHARACTERS}
    split = config.get("split", "whitespace")
    if split not in splits:
        raise ImportFailed(f"TextVectorization splits by {split!r}; only whitespace and character can be followed")
    for setting, usual in (("output_mode", "int"), ("ngrams", None)):
        if (value := config.get(setting, usual)) != usual:
            raise ImportFailed(f"TextVectorization has {setting} {value!r}: a recurrent network over it is unknown")
    words = words if words is not None else config.get("vocabulary")
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words) or not words:
        raise ImportFailed("TextVectorization has no words: it was saved before adapt()")
    own = [word for number, word in enumerate(words) if (number, word) not in ((0, ""), (1, UNKNOWN_WORD))]
    if len(own) == len(words) - 1:
        raise ImportFailed("the words of TextVectorization begin with '' and [UNK], or with neither of them")
    file = word_file(
        [no_word(0), UNKNOWN_WORD, *own],
        unk=UNKNOWN_WORD,
        pre_tokenizers=[splits[split]],
        decoder=decoders.Fuse() if split == "character" else None,
    )
    size = config.get("output_sequence_length")
    length = FixedLength(to=size, pad=0, pad_side="right", cut_side="right") if size else None
    return Vocabulary(
        file,
        TokenizerUse(cleaning=(*checked(cleaning), *steps), length=length, empty="read" if length else "refuse"),
    )


def _steps(config: Mapping[str, Any], chosen: str | None) -> tuple[CleaningStep, ...]:
    """The steps before splitting."""
    own = config.get("standardize", "lower_and_strip_punctuation")
    name = chosen or ("none" if own is None else own)
    if not isinstance(name, str) or name not in STANDARDIZE:
        what = f"there is no standardize {name!r}" if chosen else f"TextVectorization cleans texts by {_named(own)}"
        raise ImportFailed(f"{what}; choose one of {', '.join(STANDARDIZE)}")
    return STANDARDIZE[name]


def _named(function: Any) -> str:
    """The name of a user's function in a layer's settings."""
    if isinstance(function, Mapping):
        function = function.get("registered_name") or function.get("config") or function.get("class_name")
    return f"a function of its own ({function})"
