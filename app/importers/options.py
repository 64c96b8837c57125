"""Options of a layout: facts about a model that its checkpoint does not contain. The user sets them with `--set`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.errors import ImportFailed
from app.importers.tokenizer import check_rules

_SPACY = "spacy:"
_ANSWERS = {"yes": ("yes", "y", "true", "1"), "no": ("no", "n", "false", "0")}
_MOST_TOKENS = 10_000  # of a manifest


@dataclass(frozen=True)
class Option:
    """`usual` is the value in the repository's own code. It is a default only with `--usual`: a wrong value gives wrong
    answers and no error. `depends` says what another value changes.

    An `assumed` option is not asked for: its usual value is taken, and shown. An option that is `idle_where` another
    one has a value, or that matters `only_where` one has, is not asked for either once that is known; nor is one that
    matters `only_beside` a value of any other option. One `of_rows` matters only where a network forecasts several rows
    of several columns at once.

    `kind` and `choices` are what a value may be; a choice such as `spacy:en` stands for every language of spaCy. A
    `whole` number is from `least` to `most`, or the word none with `or_none`. `readings` are values whose answers
    differ in a way that an example shows (`--try`)."""

    name: str
    meaning: str
    usual: str | None = None
    choices: Sequence[str] = ()
    depends: str = ""
    kind: Literal["text", "whole", "real"] = "text"
    least: float = 1
    most: float = _MOST_TOKENS
    or_none: bool = False
    readings: Sequence[str] = ()
    assumed: bool = False
    idle_where: tuple[str, str] | None = None
    only_where: tuple[str, str] | None = None
    only_beside: str = ""
    of_rows: bool = False

    @property
    def flag(self) -> str:
        return f"--set {self.name}="

    def is_idle(self, chosen: Mapping[str, str]) -> bool:
        """Whether its value does not matter, given those of other options."""
        if self.only_where is not None and chosen.get(self.only_where[0], self.only_where[1]) != self.only_where[1]:
            return True
        if self.only_beside and self.only_beside not in chosen.values():
            return True
        return self.idle_where is not None and chosen.get(self.idle_where[0]) == self.idle_where[1]

    @property
    def values(self) -> str:
        """What a value may be, in words; empty if it may be any text."""
        if self.choices:
            return ", ".join(self.choices)
        if self.kind == "text":
            return ""
        number = f"{'a whole number' if self.kind == 'whole' else 'a number'} from {self.least:g} to {self.most:g}"
        return f"none or {number}" if self.or_none else number

    def check(self, value: str) -> str:
        """The value in its usual form. Raises ImportFailed if an option cannot have it."""
        if {"yes", "no"} == set(self.choices):
            value = next((name for name, forms in _ANSWERS.items() if value.lower() in forms), value)
        if self.choices:
            self._check_choice(value)
        elif self.kind != "text" and not (self.or_none and value == "none"):
            self._check_number(value)
        elif not value:
            raise ImportFailed(f"{self.flag} has no value: {self.meaning}")
        return value

    def _check_choice(self, value: str) -> None:
        if value.startswith(_SPACY) and any(choice.startswith(_SPACY) for choice in self.choices):
            check_rules(value)
        elif value not in self.choices:
            raise ImportFailed(f"{self.flag}{value}: the value must be one of {self.values}")
        elif self.name == "tokenizer":
            check_rules(value)

    def _check_number(self, value: str) -> None:
        try:
            number = int(value) if self.kind == "whole" else float(value)
        except ValueError:
            number = None
        if number is None or not self.least <= number <= self.most:
            raise ImportFailed(f"{self.flag}{value}: the value must be {self.values}")


@dataclass(frozen=True)
class OptionValues:
    """The value of each option of a layout."""

    given: Mapping[str, str]

    def describe(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.given.items())

    def text(self, name: str) -> str:
        return self.given[name]

    def number(self, name: str) -> int:
        """Raises ImportFailed if it is not a whole number."""
        try:
            return int(self.given[name])
        except ValueError as error:
            raise ImportFailed(f"--set {name}={self.given[name]}: the value must be a whole number") from error

    def number_or_none(self, name: str) -> int | None:
        """Raises ImportFailed if it is neither a whole number nor none."""
        return None if self.given[name] == "none" else self.number(name)

    def real(self, name: str) -> float:
        """Raises ImportFailed if it is not a number."""
        try:
            return float(self.given[name])
        except ValueError as error:
            raise ImportFailed(f"--set {name}={self.given[name]}: the value must be a number") from error

    def is_yes(self, name: str) -> bool:
        return self.given[name] == "yes"


def checked(
    options: Sequence[Option], settings: Mapping[str, str], layout: str, others: Sequence[str] = ()
) -> dict[str, str]:
    """The values that the user set. Raises ImportFailed for an unknown option, or a value that an option cannot
    have. `others` are layouts that fit, too: they have other options."""
    known = {option.name: option for option in options}
    advice = f"; others that fit have other options: --layout {', '.join(others)}" if others else ""
    for name in settings:
        if name not in known:
            raise ImportFailed(
                f"layout {layout} has no option {name}; its options: {', '.join(known) or 'none'}{advice}. `unroll "
                "layouts` lists all, and --layout chooses one"
            )
    values = {}
    for name, value in settings.items():
        try:
            values[name] = known[name].check(value)
        except ImportFailed as error:
            raise ImportFailed(f"{error.detail} (layout {layout}; --layout chooses another){advice}") from error
    return values
