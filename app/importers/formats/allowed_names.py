"""The names that a pickle may use beside those of `allowed_calls`. Classes and functions become stubs."""

import re
import sys

from app.importers.formats.stubs import StubClass, StubFunction

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
_CALLED = {  # functions whose results are stubs, as if they were classes; they are not called
    ("torchtext.vocab", "_default_unk_index"),
    ("torchtext.data.utils", "_split_tokenizer"),
    ("functools", "partial"),
    ("onmt.inputters.text_dataset", "_feature_tokenize"),
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"),  # in modules of torch 1.3 and before
}


NAMES = {("builtins", "int"), ("builtins", "float"), ("builtins", "str"), ("builtins", "bool"), ("builtins", "object")}


def stub_of(module: str, name: str) -> StubClass | None:
    """What a name of a class or of a function becomes; None if it is dangerous. Nothing is imported for it."""
    if (module, name) in _HARMLESS | _CALLED:
        return StubClass(module, name)
    root = module.partition(".")[0]
    if not _MODULE.fullmatch(module) or module in _DANGEROUS:
        return None
    if root in sys.stdlib_module_names and root != "__main__":
        return None
    if root == "numpy":
        return StubClass(module, name) if name == "ndarray" else None
    if _CLASS.fullmatch(name):
        return StubClass(module, name)
    return StubFunction(module, name) if _FUNCTION.fullmatch(name) else None
