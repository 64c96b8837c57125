"""The names in a model store: the folders of versions, the default versions, and all that can be neither.

Listing opens no file of a version. A name that cannot be a version's is reported, so that it is not missed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from app.errors import StoreError, printable
from app.store.names import DEFAULT_FILE, MOST_VERSION, NAME_IN_WORDS, is_model_name, version_number
from app.store.regular_files import is_inside, read_whole

MOST_DEFAULT_BYTES = 4096


@dataclass(frozen=True)
class Listing:
    """`folders` are those of versions, by `name/version`; their content is not checked. `defaults` are the versions in
    `default.json` files, by model name. `refused` are other names in the store, with the reason."""

    folders: dict[str, Path] = field(default_factory=dict)
    defaults: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class _Default(msgspec.Struct):
    version: Annotated[int, msgspec.Meta(ge=1, le=MOST_VERSION)]


def list_store(root: Path) -> Listing:
    """The names in a store, sorted. A missing store is empty."""
    listing = Listing()
    for folder in _visible(root, listing):
        if os.path.isdir(folder):
            _list_model(folder, root, listing)
    return listing


def version_folders(root: Path) -> dict[str, Path]:
    """The folders of versions, by `name/version`. Their content is not checked."""
    return list_store(root).folders


def newest_version(root: Path, name: str) -> int:
    """The highest version number of a model, broken versions included; 0 without versions."""
    return max((int(folder.name) for folder in version_folders(root).values() if folder.parent.name == name), default=0)


def _list_model(folder: Path, root: Path, listing: Listing) -> None:
    if not _is_inside(folder, root):
        listing.refused[printable(folder.name)] = "the folder is a link out of the model store"
        return
    for child in _visible(folder, listing):
        key = printable(f"{folder.name}/{child.name}")
        if child.name == DEFAULT_FILE and is_model_name(folder.name):
            _read_default(child, root, listing)
        elif reason := _reason_against(child):
            listing.refused[key] = reason
        elif version_number(child.name) is not None:
            listing.folders[key] = child


def _reason_against(child: Path) -> str | None:
    """Why an entry of a model's folder is no version although it looks like one; None for versions and for other
    files."""
    is_folder = os.path.isdir(child)
    if version_number(child.name) is None:
        words = f"the folder {printable(child.name)!r} has no version number as its name, such as 1"
        return f"{words}; a number has at most 15 digits" if is_folder else None
    if not is_folder:
        return f"{child.name} is not a folder"
    if not is_model_name(child.parent.name):
        return f"{printable(child.parent.name)!r} is not a model's name, which has {NAME_IN_WORDS}"
    return None


def _read_default(path: Path, root: Path, listing: Listing) -> None:
    name = path.parent.name
    try:
        content = read_whole(path, root=root, limit=MOST_DEFAULT_BYTES)
        listing.defaults[name] = msgspec.json.decode(content, type=_Default).version
    except StoreError as error:
        listing.refused[printable(f"{name}/{DEFAULT_FILE}")] = error.detail
    except (msgspec.DecodeError, RecursionError) as error:
        reason = f'{DEFAULT_FILE} is not valid: {error}; it needs the form {{"version": 1}}'
        listing.refused[printable(f"{name}/{DEFAULT_FILE}")] = printable(reason)


def _is_inside(path: Path, root: Path) -> bool:
    return is_inside(os.path.realpath(path), os.path.realpath(root))


def _visible(folder: Path, listing: Listing) -> Iterator[Path]:
    """The entries of a folder whose names do not begin with a dot, sorted."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        listing.refused[printable(folder.name)] = f"the folder cannot be read: {error.strerror}"
        return
    yield from (folder / name for name in names if not name.startswith("."))
