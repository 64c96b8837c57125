"""Options shared by several benchmarks, and their list types."""

from collections.abc import Sequence
from pathlib import Path

import click


class Names(click.ParamType[list[str]]):
    """Words from `choices`, separated by commas."""

    name = "list"

    def __init__(self, choices: Sequence[str]) -> None:
        self._choices = choices

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[str]:
        words = [word.strip() for word in str(value).split(",") if word.strip()]
        if wrong := [word for word in words if word not in self._choices]:
            self.fail(f"{wrong[0]!r} is not one of {', '.join(self._choices)}", param, context)
        return list(dict.fromkeys(words))


class Counts(click.ParamType[list[int]]):
    """Integers from 1, separated by commas."""

    name = "list"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[int]:
        counts = [int(word) if word.strip().isdigit() else 0 for word in str(value).split(",")]
        if min(counts) < 1:
            self.fail(f"{value!r} is not a list of whole numbers from 1, such as 1,8,64", param, context)
        return sorted(set(counts))


STORE = click.option(
    "--store", type=click.Path(path_type=Path, exists=True), default="model_store", show_default=True, help="Models."
)
ENGINES = click.option(
    "--engines", type=click.IntRange(0, 64), default=0, show_default=True, help="Engines, as in `unroll serve`."
)
OUTPUT = click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON file for all figures.")
