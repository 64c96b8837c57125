"""What a layout is: one public repository's way to save a network, told by its keys and shapes.

Each layout is a file beside this one. `matches` says whether a checkpoint is of it; `convert` turns it into our own
parts. What shapes cannot tell is an `Option`, asked of the user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tokenizers import Tokenizer
from torch import Tensor

from app.errors import ImportFailed
from app.store.architecture import Classifier, EncoderDecoder
from app.store.manifest import Decoding, ImageInput, Task, TokenizerUse, TokenLimits

Tensors = Mapping[str, Tensor]
Role = Literal["source", "target"]


@dataclass(frozen=True)
class Option:
    """Something that no shape tells. `usual` is what the repository's own code has; without it there is nothing usual.

    A wrong answer may go unnoticed, so even a usual one is taken only when the user says so.
    """

    name: str
    meaning: str
    usual: str | None = None
    choices: Sequence[str] = ()

    @property
    def described(self) -> str:
        """A line for people."""
        choices = f" ({', '.join(self.choices)})" if self.choices else ""
        usual = "" if self.usual is None else f"; usually {self.usual}"
        return f"--set {self.name}={'...' if self.usual is None else self.usual}  {self.meaning}{choices}{usual}"


@dataclass(frozen=True)
class Found:
    """What the files of a user hold: state dicts by where they lie, and lists of words by role."""

    networks: Mapping[str, Tensors]
    words: Mapping[Role, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer file of the `tokenizers` library, and how it is used."""

    tokenizer: Tokenizer
    use: TokenizerUse


@dataclass(frozen=True)
class Converted:
    """A network of ours: architecture, tensors by our names, and what goes into the manifest beside them."""

    task: Task
    architecture: Classifier | EncoderDecoder
    tensors: Tensors
    source: Vocabulary | None = None
    target: Vocabulary | None = None
    decoding: Decoding | None = None
    limits: TokenLimits = field(default_factory=TokenLimits)
    image: ImageInput | None = None
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Answers:
    """What the user said with `--set`, checked against the options of a layout."""

    given: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.given[name]

    def number(self, name: str) -> int:
        """Raises ImportFailed if it is not a whole number."""
        try:
            return int(self.given[name])
        except ValueError as error:
            raise ImportFailed(f"--set {name}={self.given[name]}: a whole number is wanted") from error

    def real(self, name: str) -> float:
        """Raises ImportFailed if it is not a number."""
        try:
            return float(self.given[name])
        except ValueError as error:
            raise ImportFailed(f"--set {name}={self.given[name]}: a number is wanted") from error


class Layout(Protocol):
    """One way to save a network."""

    name: str
    source: str  # the repository and the part of it
    words: Sequence[Role]  # the vocabularies that it needs

    def matches(self, networks: Mapping[str, Tensors]) -> bool:
        """Whether these state dicts are of this layout, by their keys and shapes."""

    def options(self, networks: Mapping[str, Tensors]) -> Sequence[Option]:
        """What these state dicts leave open."""

    def convert(self, found: Found, answers: Answers) -> Converted:
        """Raises ImportFailed where something does not fit."""


def require(condition: bool, message: str) -> None:
    """Raises ImportFailed."""
    if not condition:
        raise ImportFailed(message)


def check_words(words: Sequence[str], rows: int, what: str) -> None:
    """A vocabulary that was made anew gives fluent nonsense: its size must be that of the embedding."""
    require(
        len(words) == rows,
        f"the {what} vocabulary has {len(words)} words, but the checkpoint's embedding has {rows} rows: bring the "
        "vocabulary that was made with this model; one that was built again numbers its words differently",
    )


def only(values: Mapping[str, Any]) -> Any:
    """The value of a mapping that has one."""
    (value,) = values.values()
    return value
