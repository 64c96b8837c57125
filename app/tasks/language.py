"""The language of a text, as far as its script tells: enough to choose a default model."""

import unicodedata
from collections import Counter

_LANGUAGE_OF_SCRIPT = {"HANGUL": "ko", "LATIN": "en"}
_LONGEST_LOOK = 2000  # characters


def language_of(text: str) -> str | None:
    """`ko` for Hangul and `en` for Latin letters, whichever the text has most of; the script's own name, such as
    `cyrillic`, for another one; None for a text without letters.

    One Hangul letter is a syllable of two to three Latin ones, so it counts twice. Width, style and whether a letter
    came decomposed make no difference (NFKC).
    """
    scripts: Counter[str] = Counter()
    for character in unicodedata.normalize("NFKC", text[:_LONGEST_LOOK]):
        if character.isalpha():
            script = unicodedata.name(character, "UNKNOWN").split(" ")[0]
            scripts[script] += 2 if script == "HANGUL" else 1
    if not scripts:
        return None
    script = scripts.most_common(1)[0][0]
    return _LANGUAGE_OF_SCRIPT.get(script, script.lower())
