"""The names that a pickle may use: functions in this file, and classes, which become stubs."""

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from app.importers.formats.refusals import Refused
from app.importers.formats.stubs import Stub, StubClass, StubFunction

_CLASS = re.compile(r"_?[A-Z][A-Za-z0-9_]{0,99}")
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,9}")
_DANGEROUS = {
    "builtins",
    "__builtin__",
    "nt",
    "posix",
    "torch.hub",
    "torch.jit",
    "torch.package",
    "torch.utils.cpp_extension",
}
_HARMLESS = {
    ("argparse", "Namespace"),
    ("collections", "Counter"),
    ("collections", "deque"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("decimal", "Decimal"),
    ("logging", "Logger"),
    ("logging", "getLogger"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("re", "_compile"),
    ("types", "SimpleNamespace"),
    ("uuid", "UUID"),
}
_STUBBED_FUNCTIONS = {  # in torchtext's objects, beside their words: stubs like classes, never called
    ("torchtext.vocab", "_default_unk_index"),
    ("torchtext.data.utils", "_split_tokenizer"),
    ("functools", "partial"),
    ("onmt.inputters.text_dataset", "_feature_tokenize"),
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"),  # in modules of torch 1.3 and before
}


def _reconstructed(kind: Any, base: Any = None, value: Any = None) -> Stub:
    """`copyreg._reconstructor`, by which protocols 0 and 1 make objects."""
    if not isinstance(kind, StubClass):
        raise Refused("it makes an object of something that is not a class")
    return kind.make(() if value is None else (value,))


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf8", "utf-8", "ascii"):
        raise Refused("it encodes something that is not text")
    return text.encode(encoding)


def _listed(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def make(*args: Any) -> Any:
        if not args:
            return kind(())
        if not isinstance(args[0], list | tuple | set | frozenset | bytes | bytearray):
            raise Refused("it makes a sequence of something without items, which could take any amount of memory")
        return kind(args[0])

    return make


def _text(*args: Any) -> str:
    return str(args[0]) if args and isinstance(args[0], str | int) else ""


CALLS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _encoded,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("copy_reg", "_reconstructor"): _reconstructed,
    ("builtins", "bytearray"): _listed(bytes),
    ("builtins", "bytes"): _listed(bytes),
    ("builtins", "set"): _listed(list),
    ("builtins", "frozenset"): _listed(list),
    ("builtins", "list"): _listed(list),
    ("builtins", "tuple"): _listed(tuple),
    ("torch", "Size"): _listed(tuple),
    ("torch", "device"): _text,
    ("torch.serialization", "_get_layout"): _text,
}
NAMES = {("builtins", "int"), ("builtins", "float"), ("builtins", "str"), ("builtins", "bool"), ("builtins", "object")}


def stub_of(module: str, name: str) -> StubClass | None:
    """What a name of a class or of a function becomes; None if it is dangerous. Nothing is imported for it."""
    if (module, name) in _HARMLESS | _STUBBED_FUNCTIONS:
        return StubClass(module, name)
    root = module.partition(".")[0]
    if not _MODULE.fullmatch(module) or module in _DANGEROUS:
        return None
    if root in sys.stdlib_module_names and root != "__main__":
        return None
    if root == "numpy":
        return StubClass(module, name) if name == "ndarray" else None  # the rest: `numpy_arrays`
    if _CLASS.fullmatch(name):
        return StubClass(module, name)
    return StubFunction(module, name) if _FUNCTION.fullmatch(name) else None
