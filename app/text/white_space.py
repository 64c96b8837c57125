"""White space and invisible characters of a text that is read."""

import re
from collections.abc import Sequence

_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # blank, although Unicode does not call them white space
_INVISIBLE = (  # what Unicode says to ignore if it is not supported (Default_Ignorable_Code_Point), and annotations
    "\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_RUN = re.compile(f"[\\s{_BLANK}{_INVISIBLE}]+")
_SPACE = re.compile(f"[\\s{_BLANK}]")
_UNUSUAL = re.compile(f"[^\\S ]|  |\\A | \\Z|[{_BLANK}{_INVISIBLE}]")
_INVISIBLE_END = re.compile(f"[{_INVISIBLE}]+\\Z")


def is_blank(text: str) -> bool:
    """Whether a text has nothing to see."""
    return not text or _RUN.fullmatch(text) is not None


def ends_in_space(text: str) -> bool:
    """Whether the last character that is not invisible is white space."""
    return _SPACE.fullmatch(_INVISIBLE_END.sub("", text)[-1:]) is not None


def plain(text: str) -> tuple[str, Sequence[int]]:
    """The text without invisible characters, with one space for each run of white space and none at its ends; and for
    each of its characters the index of the original one. A space has the index of the first white space of its run."""
    if not _UNUSUAL.search(text):
        return text, range(len(text))
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for run in _RUN.finditer(text):
        parts.append(text[end : run.start()])
        places += range(end, run.start())
        space = _SPACE.search(text, run.start(), run.end())
        if space and places and run.end() < len(text):
            parts.append(" ")
            places.append(space.start())
        end = run.end()
    parts.append(text[end:])
    places += range(end, len(text))
    return "".join(parts), places
