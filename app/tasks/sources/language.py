"""The language of a text by its script, which is enough to choose a default model."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

_LANGUAGE_OF_SCRIPT = {"HANGUL": "ko", "LATIN": "en"}
_MOST_CHARS = 2000  # of a text, from its beginning
_ASCII_LETTER = re.compile("[A-Za-z]")


def language_of(text: str) -> str | None:
    """The language of the most frequent script: `ko` for Hangul, `en` for Latin, and the name of any other script, such
    as `cyrillic`. None for a text without letters.

    A Hangul letter is a syllable, like two to three Latin letters, so it counts twice. NFKC removes differences of
    width, style and composition.
    """
    beginning = text[:_MOST_CHARS]
    if beginning.isascii():
        return "en" if _ASCII_LETTER.search(beginning) else None
    scripts: Counter[str] = Counter()
    for character, count in Counter(unicodedata.normalize("NFKC", beginning)).items():
        if script := _script(character):
            scripts[script] += 2 * count if script == "HANGUL" else count
    if not scripts:
        return None
    script = scripts.most_common(1)[0][0]
    return _LANGUAGE_OF_SCRIPT.get(script, script.lower())


@lru_cache(maxsize=20_000)
def _script(character: str) -> str:
    """The first word of the Unicode name of a letter; empty for other characters."""
    return unicodedata.name(character, "UNKNOWN").split(" ")[0] if character.isalpha() else ""
