"""The vocabularies of an OpenNMT-py 1.x checkpoint as torchtext objects, pickled without torchtext: classes and a
function of the same names, in modules that are there only while they are pickled."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

_NAMES = {
    "onmt.inputters.text_dataset": ("TextMultiField", "_feature_tokenize"),
    "torchtext.data.field": ("Field",),
    "torchtext.vocab": ("Vocab",),
}


@contextmanager
def foreign_modules() -> Iterator[dict[str, Any]]:
    """Their modules by name. They cannot be imported afterwards."""
    made: dict[str, Any] = {}
    before = {name: sys.modules.get(name) for name in _all_modules()}
    try:
        for module in _all_modules():
            sys.modules[module] = ModuleType(module)
        for module, names in _NAMES.items():
            for name in names:
                made[name] = _function(module) if name.islower() else type(name, (), {"__module__": module})
                setattr(sys.modules[module], name, made[name])
        yield made
    finally:
        for module, was in before.items():
            if was is None:
                del sys.modules[module]
            else:
                sys.modules[module] = was


def _all_modules() -> list[str]:
    parts = [name.split(".") for name in _NAMES]
    return sorted({".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)})


def _function(module: str) -> Any:
    def _feature_tokenize(text: str, layer: int = 0) -> list[str]:
        return text.split()

    _feature_tokenize.__module__, _feature_tokenize.__qualname__ = module, "_feature_tokenize"
    return _feature_tokenize


def fields_of(made: dict[str, Any], name: str, words: Sequence[str]) -> Any:
    """`TextMultiField` over one `Field`, with attributes as torchtext has them."""
    vocab = made["Vocab"]()
    vocab.freqs, vocab.itos, vocab.vectors = Counter(words), list(words), None
    vocab.stoi = {word: number for number, word in enumerate(words)} | {"polluted": 0}
    field = made["Field"]()
    field.vocab, field.sequential, field.unk_token = vocab, True, "<unk>"
    field.tokenize = partial(made["_feature_tokenize"], layer=0)
    several = made["TextMultiField"]()
    several.fields = [(name, field)]
    return several
