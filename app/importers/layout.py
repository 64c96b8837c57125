"""A layout: how a public repository saves a network, or a kind of network that is recognised by its structure.

Each layout is a file in `layouts/`. An import asks a layout, in this order: whether it `matches`, what it understands,
its `options`, what else it `needs`, and to `convert` the checkpoint with all that was given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.options import Option, OptionValues
from app.importers.reading import Plain
from app.importers.scalers import Scaler
from app.importers.tokenizer import Vocabulary
from app.importers.vocabularies import Role
from app.store.architecture import Architecture
from app.store.decoding import Decoding, TokenLimits
from app.store.description import TaskName
from app.store.image_input import ImageInput
from app.store.series_input import Feature, SeriesInput

Words = Mapping[Role, Sequence[str]]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Understanding:
    """What the tensors of a checkpoint say, in words: `facts`, and what is `unsure` and why."""

    facts: Sequence[str] = ()
    unsure: Sequence[str] = ()


@dataclass(frozen=True)
class Columns:
    """The columns of a series: the number of `features`, and the numbers of `targets` that the network may have, the
    usual one first. A classifier has none."""

    features: int
    targets: Sequence[int] = ()


@dataclass(frozen=True)
class Needs:
    """What a layout needs beside the values of its options. An import takes it from the files, or asks for it.

    `labels` is their number, and `usual_labels` are names that `--usual` takes. `rows` are the sizes of the embeddings,
    which tell vocabularies apart."""

    vocabularies: Sequence[Role] = ()
    labels: int | None = None
    usual_labels: Sequence[str] = ()
    columns: Columns | None = None
    rows: Mapping[Role, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """The answers. `words` are by role, word 0 first; `contents` is the whole content of the file that they are from,
    if they are from one, for layouts that need more of it (a Tokenizer of Keras). `features` and `targets` have their
    scaling already; `scalers` are what it was taken from, by `features` and `targets`."""

    values: OptionValues = field(default_factory=lambda: OptionValues({}))
    words: Words = field(default_factory=dict)
    contents: Mapping[Role, Plain] = field(default_factory=dict)
    labels: Sequence[str] = ()
    features: Sequence[Feature] = ()
    targets: Sequence[Feature] = ()
    scalers: Mapping[str, Scaler] = field(default_factory=dict)

    def values_with(self, others: Mapping[str, str]) -> OptionValues:
        """The values, and others for options that the layout does not have."""
        return OptionValues({**others, **self.values.given})

    def with_values(self, others: Mapping[str, str]) -> "Given":
        """With values of options that follow from the tensors, for another layout that asks for them."""
        return replace(self, values=self.values_with(others))


@dataclass(frozen=True)
class Converted:
    """A network of ours: its architecture, tensors by our names, and the other parts of its manifest.

    Without `task` it is the one that answers with such a network. `labels` are names that the layout knows; those that
    the user gives come first.
    """

    architecture: Architecture
    tensors: Tensors
    task: TaskName | None = None
    source: Vocabulary | None = None
    target: Vocabulary | None = None
    decoding: Decoding | None = None
    limits: TokenLimits = field(default_factory=TokenLimits)
    image: ImageInput | None = None
    frames: int | None = None
    series: SeriesInput | None = None
    labels: Sequence[str] = ()
    tag_at: Literal["first", "last"] = "first"


class Layout(Protocol):
    """`source` names the repository. `vocabularies` are the roles of the texts that it reads and answers with. A layout
    that `is_generic` matches nothing: the user must choose it."""

    name: str
    source: str
    vocabularies: Sequence[Role] = ()
    is_generic: bool = False

    def matches(self, checkpoint: Checkpoint) -> bool:
        """Whether the keys and shapes of a checkpoint are those of this layout."""

    def fits(self, checkpoint: Checkpoint) -> bool:
        """Whether it can be chosen by name: shapes do not tell apart all tasks."""
        return self.matches(checkpoint)

    def understanding(self, checkpoint: Checkpoint) -> Understanding:
        """What it sees in the tensors."""
        return Understanding()

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        """The facts that are missing in a checkpoint."""
        return ()

    def needs(self, checkpoint: Checkpoint, chosen: Mapping[str, str]) -> Needs:
        """What else it needs. `chosen` are the values of options that are known already."""
        return Needs(vocabularies=self.vocabularies)

    def convert(self, checkpoint: Checkpoint, given: Given) -> Converted:
        """Raises ImportFailed if a part does not fit."""


def known(found: Found | None, what: str) -> Found:
    """What a layout finds in a checkpoint. Raises ImportFailed if there is nothing: the user chose the layout."""
    if found is None:
        raise ImportFailed(f"this is no {what}: choose another --layout")
    return found


def require(condition: bool, message: str) -> None:
    """Raises ImportFailed unless the condition holds."""
    if not condition:
        raise ImportFailed(message)
