"""The words of a vocabulary that stand for unknown words and for padding, however they are spelt."""

from collections.abc import Sequence

_UNKNOWN = ("<unk>", "[unk]", "{unk}", "_unk_", "__unk__", "_unk", "<unknown>", "<oov>", "[oov]", "xxunk", "unk", "oov")
_PADDING = ("<pad>", "[pad]", "{pad}", "_pad_", "__pad__", "_pad", "<padding>", "<blank>", "xxpad", "pad")


def unknown_word(words: Sequence[str]) -> str | None:
    """The word that stands for unknown ones, in any usual spelling and case: <unk>, [UNK], UNK, <oov>, <unknown>."""
    return _first_of(words, _UNKNOWN)


def padding_word(words: Sequence[str]) -> str | None:
    """The word that fills up, in any usual spelling and case: <pad>, [PAD], PAD, _pad_."""
    return _first_of(words, _PADDING)


def _first_of(words: Sequence[str], spellings: Sequence[str]) -> str | None:
    """The word with the first of these spellings. A word in capitals is a mark, one in small letters may be a word of
    the language: `pad` counts only as one of the first four words."""
    found: dict[str, str] = {}
    for token, word in enumerate(words):
        lowered = word.lower()
        if not lowered.isalpha() or lowered.startswith("xx") or word.isupper() or token < 4:
            found.setdefault(lowered, word)
    return next((found[spelling] for spelling in spellings if spelling in found), None)
