"""The language of a text, as far as its script tells: enough to choose a default model."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

_LANGUAGE_OF_SCRIPT = {"HANGUL": "ko", "LATIN": "en"}
_LONGEST_LOOK = 2000  # characters
_ASCII_LETTER = re.compile("[A-Za-z]")


def language_of(text: str) -> str | None:
    """`ko` for Hangul and `en` for Latin letters, whichever the text has most of; the script's own name, such as
    `cyrillic`, for another one; None for a text without letters.

    One Hangul letter is a syllable of two to three Latin ones, so it counts twice. Width, style and whether a letter
    came decomposed make no difference (NFKC).
    """
    seen = text[:_LONGEST_LOOK]
    if seen.isascii():
        return "en" if _ASCII_LETTER.search(seen) else None
    scripts: Counter[str] = Counter()
    for character, count in Counter(unicodedata.normalize("NFKC", seen)).items():
        if script := _script(character):
            scripts[script] += 2 * count if script == "HANGUL" else count
    if not scripts:
        return None
    script = scripts.most_common(1)[0][0]
    return _LANGUAGE_OF_SCRIPT.get(script, script.lower())


@lru_cache(maxsize=20_000)
def _script(character: str) -> str:
    """The first word of a letter's name in Unicode; empty for what is no letter."""
    return unicodedata.name(character, "UNKNOWN").split(" ")[0] if character.isalpha() else ""
