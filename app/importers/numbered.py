"""Many names that count on, in short: `x1..x5000` for x1, x2, x3 and so on."""

import re
from collections.abc import Sequence

_SHORT = re.compile(r"(\D*)(\d+)\.\.(\D*)(\d+)")
_FEW = 32
_MOST = 100_000


def in_short(names: Sequence[str]) -> str:
    """The names with commas between them; many names that count on are `x1..x5000`."""
    short = f"{names[0]}..{names[-1]}" if len(names) > _FEW else ""
    return short if short and named_in_short(short) == list(names) else ",".join(names)


def named_in_short(text: str) -> list[str] | None:
    """The names of `x1..x5000`; None if the text is something else."""
    match = _SHORT.fullmatch(text.strip())
    if match is None or match[1] != match[3]:
        return None
    first, last = int(match[2]), int(match[4])
    return [f"{match[1]}{number}" for number in range(first, last + 1)] if 0 <= last - first < _MOST else None
