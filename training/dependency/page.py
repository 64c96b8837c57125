"""The tables of `docs/long-term-dependency.md`, written between comment markers."""

import re
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import TypeVar

from training.dependency.gradients import reach
from training.dependency.results import Results

Item = TypeVar("Item")


def fill(page: str, results: Results) -> str:
    """The page with a new table between each pair of markers `<!-- name -->` and `<!-- /name -->`."""
    tables = {"recall": recall_table, "gradients": gradient_table, "distance": distance_table}
    for name, make in tables.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        block = f"{opening}\n{make(results)}\n{closing}".replace("\\", r"\\")  # no escapes in the replacement
        page, found = re.subn(f"{opening}.*?{closing}", block, page, flags=re.DOTALL)
        assert found == 1, f"the page has {found} blocks named {name}"
    return page


def recall_table(results: Results) -> str:
    """Mean accuracy over the seeds, and the range from the worst to the best seed."""
    gaps = _distinct(row.gap for row in results.recall)
    body = []
    for network in _distinct(row.network for row in results.recall):
        rows = [row for row in results.recall if row.network == network]
        cells = [_spread([row.accuracy for row in rows if row.gap == gap]) for gap in gaps]
        body.append((network, str(rows[0].parameters), *cells))
    return _table(("network", "parameters", *(f"gap {gap}" for gap in gaps)), body)


def gradient_table(results: Results) -> str:
    """Relative norms at some distances, and the distance from which they stay below 1 %."""
    if not results.gradients:
        return _missing(results)
    shown = [distance for distance in (6, 12, 24, 48, 96, 192) if distance < len(results.gradients[0].state)]
    body = []
    for fading in results.gradients:
        for end, norms in (("last state", fading.state), ("label", fading.label)):
            below = reach(norms)
            cells = [_power(norms[distance]) for distance in shown]
            body.append((fading.network, end, *cells, "never" if below is None else str(below)))
    heads = ("network", "gradient of", *(f"{distance} back" for distance in shown), "below 1 % from")
    return _table(heads, body) + _missing(results)


def distance_table(results: Results) -> str:
    """Accuracy at each distance, and the remaining effect of the beginning."""
    if not results.distance:
        return _missing(results)
    aimed = _distinct(row.aimed for row in results.distance)
    body = []
    for network in _distinct(row.network for row in results.distance):
        rows = {row.aimed: row for row in results.distance if row.network == network}
        body.append((network, "accuracy", *(f"{rows[distance].accuracy:.2f}" for distance in aimed)))
        body.append((network, "right label", *(f"{rows[distance].right:.2f}" for distance in aimed)))
        body.append((network, "difference", *(f"{rows[distance].difference:.2f}" for distance in aimed)))
        body.append((network, "tokens", *(f"{rows[distance].tokens:.0f}" for distance in aimed)))
    return _table(("network", "figure", *map(str, aimed)), body) + _missing(results)


def _distinct(items: Iterable[Item]) -> list[Item]:
    return list(dict.fromkeys(items))


def _spread(values: Sequence[float]) -> str:
    middle = f"{mean(values):.2f}"
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return middle if low == high else f"{middle} ({low} to {high})"


def _power(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"


def _missing(results: Results) -> str:
    """A sentence for each classifier that is missing in the tables."""
    return "".join(f"\n\nNot measured: `{name}`, {reason}." for name, reason in results.missing.items()).rstrip()


def _table(heads: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    rule = "|---" * 2 + "|--:" * (len(heads) - 2) + "|"
    return "\n".join((_line(heads), rule, *map(_line, body)))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
