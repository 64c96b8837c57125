"""Options of a layout: facts about a model that its checkpoint does not contain. The user sets them with `--set`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import ImportFailed


@dataclass(frozen=True)
class Option:
    """`usual` is the value in the repository's own code. It is a default only with `--usual`: a wrong value gives wrong
    answers and no error."""

    name: str
    meaning: str
    usual: str | None = None
    choices: Sequence[str] = ()

    def describe(self) -> str:
        choices = f" ({', '.join(self.choices)})" if self.choices else ""
        usual = "" if self.usual is None else f"; usually {self.usual}"
        return f"--set {self.name}={'...' if self.usual is None else self.usual}  {self.meaning}{choices}{usual}"


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

    def real(self, name: str) -> float:
        """Raises ImportFailed if it is not a number."""
        try:
            return float(self.given[name])
        except ValueError as error:
            raise ImportFailed(f"--set {name}={self.given[name]}: the value must be a number") from error


def resolve(options: Sequence[Option], settings: Mapping[str, str], *, accept_usual: bool) -> OptionValues:
    """The value of every option. Raises ImportFailed with the options that have none, ready to be copied."""
    known = {option.name: option for option in options}
    for name, value in settings.items():
        if name not in known:
            raise ImportFailed(f"this layout has no option {name}; its options: {', '.join(known) or 'none'}")
        choices = known[name].choices
        if choices and value not in choices and not value.startswith("spacy:"):
            raise ImportFailed(f"--set {name}={value}: the value must be one of {', '.join(choices)}")
    missing = [option for option in options if option.name not in settings]
    if accept_usual:
        missing = [option for option in missing if option.usual is None]
    if missing:
        lines = "\n  ".join(option.describe() for option in missing)
        raise ImportFailed(
            "the checkpoint does not contain these; set them, or accept the defaults with --usual (a wrong value gives "
            f"wrong answers and no error):\n  {lines}"
        )
    usual = {option.name: option.usual for option in options if option.usual is not None}
    return OptionValues(usual | dict(settings))
