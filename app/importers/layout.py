"""A layout: how a public repository saves a network. Keys and shapes identify it.

Each layout is a file in `layouts/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint, Tensors
from app.importers.options import Option, OptionValues
from app.importers.tokenizer import Vocabulary
from app.importers.vocabularies import Role
from app.store.architecture import Classifier, EncoderDecoder
from app.store.manifest import Decoding, ImageInput, TaskName, TokenLimits

Words = Mapping[Role, Sequence[str]]


@dataclass(frozen=True)
class Converted:
    """A network of ours: its architecture, tensors by our names, and the other parts of its manifest."""

    task: TaskName
    architecture: Classifier | EncoderDecoder
    tensors: Tensors
    source: Vocabulary | None = None
    target: Vocabulary | None = None
    decoding: Decoding | None = None
    limits: TokenLimits = field(default_factory=TokenLimits)
    image: ImageInput | None = None
    labels: Sequence[str] = ()


class Layout(Protocol):
    """`source` names the repository. A layout that `is_generic` matches nothing: the user must choose it."""

    name: str
    source: str
    vocabularies: Sequence[Role]  # which ones it needs
    is_generic: bool = False

    def matches(self, checkpoint: Checkpoint) -> bool:
        """Whether the keys and shapes of a checkpoint are those of this layout."""

    def options(self, checkpoint: Checkpoint) -> Sequence[Option]:
        """The facts that are missing in a checkpoint."""

    def convert(self, checkpoint: Checkpoint, words: Words, values: OptionValues) -> Converted:
        """Raises ImportFailed if a part does not fit."""


def require(condition: bool, message: str) -> None:
    """Raises ImportFailed unless the condition holds."""
    if not condition:
        raise ImportFailed(message)
