"""Names in a model store: of models, versions and files. A folder may hold any name; only these are served."""

import re

MANIFEST = "manifest.json"
CARD = "MODEL_CARD.md"
DEFAULT_FILE = "default.json"  # in the model's folder, beside its versions
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
NAME_IN_WORDS = "at most 64 of a-z, 0-9, dot, - and _, and begins with a letter or digit"
MOST_VERSION = 999_999_999_999_999  # 15 digits: exact in every JSON reader, and long enough for a time as a version

_NAME = re.compile(NAME[1:-1])
_VERSION = re.compile("[1-9][0-9]{0,14}")
_PLAIN_FILE = re.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_FILE = re.compile(r"[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]{0,99}")


def is_url(location: str) -> bool:
    """Whether a model store is at a URL, not in a folder."""
    return "://" in location


def is_model_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def version_number(name: str) -> int | None:
    """The number of a version's folder; None for any other name, such as `02` or `²`."""
    return int(name) if _VERSION.fullmatch(name) else None


def is_file_name(name: str) -> bool:
    """Whether a manifest may list a file of this name: it has no folder and is not hidden."""
    return _FILE.fullmatch(name) is not None and name.isprintable()


def is_plain_file_name(name: str) -> bool:
    """Whether a file of this name may be uploaded: no `{file}` of a template, no spaces."""
    return _PLAIN_FILE.fullmatch(name) is not None
