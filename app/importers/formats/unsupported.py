"""Formats that are recognised and not read, each with the way out."""

from typing import Any

from app.importers.formats.bounds import Bounds
from app.importers.formats.protobuf import BYTES, VARINT, fields
from app.importers.formats.refusals import Unreadable
from app.importers.formats.unpickling import Unpickling

SAVED_MODEL = (
    "it belongs to a SavedModel of TensorFlow, which contains a program. Load the model in Python "
    "(tf.keras.models.load_model of TensorFlow 2.15 or before, or tf_keras), and save it with model.save('model.h5')"
)
_TF_CHECKPOINT = (
    "it is a checkpoint of TensorFlow. Build the model in Python, load it with model.load_weights(...), and save it "
    "with model.save('model.h5') or model.save('model.keras')"
)
_PACKED = "it is a {} archive: unpack it, and give the file with the weights"
_BEGINNINGS = (
    (b"\xfd7zXZ\x00", _PACKED.format("xz")),
    (b"\x28\xb5\x2f\xfd", _PACKED.format("zstd")),
    (b"7z\xbc\xaf\x27\x1c", _PACKED.format("7z")),
    (b"Rar!", _PACKED.format("rar")),
    (b"\x7fELF", "it is a program for Linux, not a file of weights"),
    (b"\x93NUMPY", "it is a damaged array of numpy"),
    (
        b"GGUF",
        "it is a file of GGUF, which llama.cpp reads: it has language models of transformers, with rounded weights. "
        "Nothing recurs in them, and Unroll serves recurrent networks",
    ),
    (
        b"version https://git-lfs.github.com/spec/",
        "it is a pointer of Git LFS, not the file itself: run `git lfs pull` in the repository, or download the file "
        "from its page, and give that",
    ),
)
_PAGES = (b"<!doctype html", b"<html")
_PAGE = (
    "it is a page of HTML, not the file: the link leads to a page about it, or to a warning. Download the file itself "
    "(on GitHub: `Download raw file`; on Google Drive: confirm the warning), and give that"
)
_LONGEST_MARK = 200  # bytes in which a page of HTML begins
_LEVELDB = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # ends the index of TensorFlow's checkpoints


def matches(content: bytes, bounds: Bounds) -> bool:
    return _reason(content) is not None


def parse(content: bytes, unpickling: Unpickling) -> Any:
    raise Unreadable(_reason(content) or "its format is unknown")


def _reason(content: bytes) -> str | None:
    for beginning, reason in _BEGINNINGS:
        if content.startswith(beginning):
            return reason
    if content[:_LONGEST_MARK].lstrip().lower().startswith(_PAGES):
        return _PAGE
    if content[257:262] == b"ustar":
        return _PACKED.format("tar")
    if content[4:8] == b"TFL3":
        return (
            "it is a model of TensorFlow Lite, whose weights are merged and perhaps rounded: give the model from which "
            "it was made, as .keras or .h5"
        )
    if content.endswith(_LEVELDB):
        return _TF_CHECKPOINT
    if content[:1] == b"\x08" and _is_saved_model(content):
        return SAVED_MODEL
    return None


def _is_saved_model(content: bytes) -> bool:
    """A message of a version, then graphs."""
    try:
        return [(number, wire) for number, wire, _ in fields(content)][:2] == [(1, VARINT), (2, BYTES)]
    except Unreadable:
        return False
