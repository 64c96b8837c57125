"""About 300 damaged versions for one store: mutated manifests, files, weights, tokenizers and names.

Made by a seeded generator, so each run has the same ones.
"""

import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.store.model_store import WEIGHTS
from app.store.publishing import file_entry

Change = Callable[[Path], object]
DEEP = "[" * 200_000
MANIFEST, TOKENIZER = "manifest.json", "tokenizer.json"
_BAD_NUMBERS: tuple[object, ...] = (10**30, -(10**12), "\0", [[[]]])
_MUTATIONS = 150


def put_damaged(store: Path) -> dict[str, str]:
    """Add damaged versions to a store of sound first versions. Returns part of the reason of each, by the key that
    reports it."""
    expected: dict[str, str] = {}
    for reason, name, change in _changes(store):
        number = 2 + len(expected)
        folder = store / name / str(number)
        shutil.copytree(store / name / "1", folder)
        _change_manifest(folder, lambda manifest, number=number: manifest.update(version=number))  # type: ignore[misc]
        change(folder)
        expected[f"{name}/{number}"] = reason
    return expected | _put_names(store, 2 + len(expected)) | _put_defaults(store)


def _changes(store: Path) -> Iterator[tuple[str, str, Change]]:
    """Part of the reason, the model whose first version is copied, and the damage."""
    yield from ((reason, "sentiment-en", change) for reason, change in _texts())
    yield from _mutations(store)
    yield from _absurd_values()
    yield from ((reason, "sentiment-en", change) for reason, change in _files())
    yield from ((reason, "sentiment-en", change) for reason, change in _weights())
    yield from ((reason, "sentiment-en", change) for reason, change in _tokenizers())


def _texts() -> Iterator[tuple[str, Change]]:
    """Manifests that are no JSON document, or a hostile one."""

    def written(content: bytes) -> Change:
        return lambda folder: folder.joinpath(MANIFEST).write_bytes(content)

    for content in (
        DEEP.encode(),
        b'{"a":' * 200_000,
        b"",
        b"\0" * 1000,
        b"{",
        b"\xff\xfe{\0}\0",
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b'{"version": 1e999999999999}'[:-1],
        b'{"version": ' + b"9" * 100_000 + b"}",
    ):
        yield "not JSON", written(content)
    yield "not valid at its root", written(b"[]")
    yield "not valid at", written(b'{"format": NaN}')
    yield "the limit is", written(b" " * 3_000_000)
    yield "the limit is", lambda folder: os.truncate(folder / MANIFEST, 10**12)
    chosen = random.Random(7)
    for _ in range(8):
        share = chosen.random()
        yield "not JSON", lambda folder, share=share: _truncate(folder / MANIFEST, share)  # type: ignore[misc]


def _mutations(store: Path) -> Iterator[tuple[str, str, Change]]:
    """A number of a manifest replaced by something that no network has."""
    places = []
    for name in ("sentiment-en", "translate-en-ko", "caption-en", "lm-en"):
        manifest = json.loads((store / name / "1" / MANIFEST).read_text())
        manifest.get("image", {}).clear()  # its means may be any numbers
        places += [(name, place, value) for place in _numbers(manifest) for value in _BAD_NUMBERS]
    for name, place, value in random.Random(11).sample(places, _MUTATIONS):
        yield f"not valid at {place[0]}", name, _setting(place, value)


def _absurd_values() -> Iterator[tuple[str, str, Change]]:
    """Values that would cost memory or time, ids beyond the vocabulary, and names that no file may have."""
    recurrence = ("architecture", "encoder", "recurrence")
    for reason, name, place, value in (
        ("layers", "sentiment-en", (*recurrence, "layers"), 1_000_000),
        ("layers", "translate-en-ko", ("architecture", "decoder", "layers"), 1_000_000),
        ("hidden_size", "sentiment-en", (*recurrence, "hidden_size"), 10**9),
        ("of shape", "sentiment-en", (*recurrence, "hidden_size"), 2**20),
        ("no tensor", "sentiment-en", (*recurrence, "layers"), 64),
        ("of shape", "sentiment-en", ("architecture", "encoder", "vocabulary_size"), 2**24),
        ("of shape", "translate-en-ko", ("architecture", "decoder", "embedding_size"), 2**20),
        ("no tensor", "caption-en", ("architecture", "encoder", "resnet", "blocks"), [64] * 4),
        ("image_size", "caption-en", ("architecture", "encoder", "image_size"), 10**5),
        ("grid_side", "caption-en", ("architecture", "encoder", "grid_side"), 10**5),
        ("the id 1000000", "sentiment-en", ("tokenizer", "prepend"), [10**6]),
        ("prepend", "sentiment-en", ("tokenizer", "prepend"), [10**30]),
        ("prepend", "sentiment-en", ("tokenizer", "prepend"), [1] * 100_000),
        ("the id 420", "translate-en-ko", ("tokenizer", "append"), [420]),
        ("length.to", "sentiment-en", ("tokenizer", "length"), {"to": 10**10, "pad": 0}),
        ("the id 420", "sentiment-en", ("tokenizer", "length"), {"to": 10, "pad": 420}),
        ("the id 999", "sentiment-en", ("tokenizer", "hidden"), [999]),
        ("the id 999", "sentiment-en", ("tokenizer", "unknown"), 999),
        ("the id 999", "translate-en-ko", ("decoding", "forbidden"), [999]),
        ("the id 999", "translate-en-ko", ("decoding", "suppress"), [999]),
        ("suppress", "translate-en-ko", ("decoding", "suppress"), [-1]),
        ("no token to decode", "lm-en", ("decoding", "forbidden"), list(range(420))),
        ("the id 420", "translate-en-ko", ("decoding", "eos"), 420),
        ("the id -1", "translate-en-ko", ("decoding", "eos"), -1),
        ("the id 420", "lm-en", ("decoding", "bos"), 420),
        ("max_tokens", "translate-en-ko", ("decoding", "max_tokens"), 10**9),
        ("length_penalty", "translate-en-ko", ("decoding", "length_penalty"), 1e300),
        ("pooling", "sentiment-en", ("architecture", "pooling"), ["last"] * 100_000),
        ("std", "caption-en", ("image", "std"), [0, 0, 0]),
        ("shorter_side", "caption-en", ("image", "shorter_side"), 10**9),
        ("spaCy has no rules", "sentiment-en", ("tokenizer", "split"), "spacy:zz"),
        ("the task", "sentiment-en", ("task",), "juggling"),
        ("lies in", "sentiment-en", ("name",), "other"),
        ("not valid at", "sentiment-en", ("tokenizer", "file"), "../1/tokenizer.json"),
        ("no hash for", "sentiment-en", ("tokenizer", "file"), "other.json"),
        ("the limit is", "sentiment-en", ("files", TOKENIZER, "bytes"), 2**40),
    ):
        yield reason, name, _setting(place, value)
    for odd in ("a\0b", "", ".", "..", "a/b", "/etc/passwd", "x" * 300, ".hidden", "line\nbreak", "\u202e"):
        yield "plain names", "sentiment-en", _setting(("files", odd), {"sha256": "0" * 64, "bytes": 1})
    yield "cannot be read", "sentiment-en", _setting(("files", "\u00b2"), {"sha256": "0" * 64, "bytes": 1})


def _files() -> Iterator[tuple[str, Change]]:
    """Files that are none, or not those of the manifest."""
    for file in (WEIGHTS, TOKENIZER, MANIFEST):
        yield "not a regular file", _instead(file, os.mkfifo)
        yield "not a regular file", _instead(file, Path.mkdir)
        yield "not a regular file", _instead(file, _make_socket)
        yield "link out of the model store", _instead(file, lambda path: path.symlink_to("/dev/zero"))
        yield "link out of the model store", _instead(file, lambda path: path.symlink_to("/etc/hostname"))
        yield "not a regular file", _instead(file, lambda path: path.symlink_to(path))
        yield "cannot be read", _instead(file, lambda path: path.symlink_to("nothing"))
        yield "cannot be read", _instead(file, lambda path: None)
    for file in (WEIGHTS, TOKENIZER):
        yield "SHA-256", lambda folder, file=file: _truncate(folder / file, 0.5)  # type: ignore[misc]
        yield "SHA-256", lambda folder, file=file: os.truncate(folder / file, 10**12)  # type: ignore[misc]
        yield "SHA-256", lambda folder, file=file: folder.joinpath(file).write_bytes(b"")  # type: ignore[misc]
        yield "SHA-256", lambda folder, file=file: _flip(folder / file)  # type: ignore[misc]


def _weights() -> Iterator[tuple[str, Change]]:
    """Weights under a valid hash whose header is no header of this network."""

    def header_of(change: Callable[[dict[str, Any]], object]) -> Change:
        return lambda folder: _change_header(folder, change)

    for content in (
        b"",
        b"not weights",
        (2**63).to_bytes(8, "little") + b"{}",
        (10**6).to_bytes(8, "little") + b"{}",
        (200_000).to_bytes(8, "little") + DEEP.encode(),
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"a": 12}',
        (5).to_bytes(8, "little") + b'{"\xff"',
    ):
        reason = "not valid at files" if not content else "not a safetensors file"
        yield reason, lambda folder, content=content: _replace(folder, WEIGHTS, content)  # type: ignore[misc]
    yield "", lambda folder: _sparse(folder, 10**11)
    bias = "output.bias"
    for reason, change in (
        ("no tensor output.bias", lambda header: header.update(other=header.pop(bias))),
        ("of shape", lambda header: header[bias].update(shape=[1, 2])),
        ("place", lambda header: header[bias].update(shape=[10**9, 10**6])),
        ("not a safetensors file", lambda header: header[bias].update(shape=[-2])),
        ("not a safetensors file", lambda header: header[bias].update(shape=[10**30])),
        ("not a safetensors file", lambda header: header[bias].update(shape=[1] * 10_000)),
        ("place", lambda header: header[bias].update(data_offsets=[0, 4])),
        ("place", lambda header: header[bias].update(data_offsets=[10**14, 10**14 + 4])),
        ("number type", lambda header: header[bias].update(dtype="F8_E4M3")),
        ("number type", lambda header: header[bias].update(dtype="x" * 10_000)),
        ("place", lambda header: header[bias].update(dtype="F64")),
        ("not use", lambda header: header.update(stray={"dtype": "F16", "shape": [0], "data_offsets": [0, 0]})),
        ("numbers", lambda header: header.pop(max(header, key=lambda key: header[key]["data_offsets"][1]))),
    ):
        yield reason, header_of(change)


def _tokenizers() -> Iterator[tuple[str, Change]]:
    """Tokenizer files under a valid hash that are none, or not those of this network."""
    words = {f"w{number}": number for number in range(1000)}
    unk = {"<unk>": 0}
    model = {"type": "WordLevel", "vocab": unk, "unk_token": "<unk>"}

    def tokenizer(**parts: object) -> bytes:
        plain: dict[str, object] = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": []}
        plain |= {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
        return json.dumps(plain | {"model": model} | parts).encode()

    def split(pattern: str) -> bytes:
        return tokenizer(
            pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        )

    for reason, content in (
        ("not a tokenizer file", b"{}"),
        ("not a tokenizer file", DEEP.encode()),
        ("not a tokenizer file", b"\xff" * 100),
        ("not a tokenizer file", b'{"model":' * 100_000),
        ("not a tokenizer file", split("(((")),
        ("not a tokenizer file", tokenizer(model={"type": "Other"})),
        ("not a tokenizer file", tokenizer(model={"type": "WordLevel", "vocab": {"a": -1}, "unk_token": "a"})),
        ("has the id 999", tokenizer(model={"type": "WordLevel", "vocab": unk | words, "unk_token": "<unk>"})),
        (
            "has the id 4294967295",
            tokenizer(model={"type": "WordLevel", "vocab": unk | {"x": 2**32 - 1}, "unk_token": "<unk>"}),
        ),
        ("takes too long", split("(a+)+$")),
        ("takes too long", split("(a|aa)+\\z")),
        ("the limit is", b"[" * 20_000_000),
    ):
        yield reason, lambda folder, content=content: _replace(folder, TOKENIZER, content)  # type: ignore[misc]


def _put_names(store: Path, number: int) -> dict[str, str]:
    """Names that are no version's, and versions that are no folder."""
    model = store / "sentiment-en"
    expected = {}
    for name, key in (
        ("\u00b2", "sentiment-en/\u00b2"),
        ("\u0662", "sentiment-en/\u0662"),
        ("02", "sentiment-en/02"),
        ("0", "sentiment-en/0"),
        ("-1", "sentiment-en/-1"),
        ("1e3", "sentiment-en/1e3"),
        ("9" * 200, "sentiment-en/" + "9" * 200),
        ("new\nline", "sentiment-en/new\\nline"),
        ("\udcff", "sentiment-en/\\udcff"),
    ):
        shutil.copytree(model / "1", model / name)
        expected[key] = "no version number"
    for name, key in (("Bad Name", "Bad Name"), ("\udcfe", "\\udcfe"), ("\u00b2", "\u00b2")):
        shutil.copytree(model / "1", store / name / "1")
        expected[f"{key}/1"] = "not a model's name"
    os.mkfifo(model / str(number))
    model.joinpath(str(number + 1)).symlink_to(str(number + 1))
    expected |= {f"sentiment-en/{number}": "not a folder", f"sentiment-en/{number + 1}": "not a folder"}
    outside = store.parent / "outside"
    shutil.copytree(model / "1", outside / "1")
    model.joinpath(str(number + 2)).symlink_to(outside / "1")
    store.joinpath("linked").symlink_to(outside)
    return expected | {f"sentiment-en/{number + 2}": "link out of the model store", "linked": "link out of"}


def _put_defaults(store: Path) -> dict[str, str]:
    """Files `default.json` that are none."""
    contents: dict[str, Change] = {
        "deep": lambda path: path.write_text(DEEP),
        "deep-4k": lambda path: path.write_text(DEEP[:4000]),
        "pipe": os.mkfifo,
        "zero": lambda path: path.symlink_to("/dev/zero"),
        "folder": Path.mkdir,
        "float": lambda path: path.write_text('{"version": 1e999}'),
        "large": lambda path: path.write_text('{"version": 1000000000000000000000}'),
        "bytes": lambda path: path.write_bytes(b'{"version": "\xff"}'),
    }
    for name, put in contents.items():
        store.joinpath(name).mkdir()
        put(store / name / "default.json")
    return {f"{name}/default.json": "default.json" for name in contents}


def _change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads(folder.joinpath(MANIFEST).read_text())
    change(manifest)
    folder.joinpath(MANIFEST).write_text(json.dumps(manifest))


def _setting(place: tuple[str | int, ...], value: object) -> Change:
    def put(manifest: Any) -> None:
        for key in place[:-1]:
            manifest = manifest[key]
        manifest[place[-1]] = value

    return lambda folder: _change_manifest(folder, put)


def _numbers(document: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of the numbers in a document."""
    if type(document) in (int, float):
        yield place
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from _numbers(value, (*place, key))


def _instead(file: str, make: Change) -> Change:
    def put(folder: Path) -> None:
        folder.joinpath(file).unlink()
        make(folder / file)

    return put


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            made.bind(f"/proc/self/fd/{here}/{path.name}")  # a socket's path has at most 107 bytes
        finally:
            os.close(here)


def _truncate(path: Path, share: float) -> None:
    os.truncate(path, int(share * path.stat().st_size))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _replace(folder: Path, file: str, content: bytes) -> None:
    folder.joinpath(file).write_bytes(content)
    entry = file_entry(folder / file) if content else None
    document = {"sha256": "0" * 64, "bytes": 0} if entry is None else entry.model_dump()
    _change_manifest(folder, lambda manifest: manifest["files"].update({file: document}))


def _sparse(folder: Path, size: int) -> None:
    """Weights of a declared size that would take minutes to hash."""
    os.truncate(folder / WEIGHTS, size)
    _change_manifest(folder, lambda manifest: manifest["files"][WEIGHTS].update(bytes=size))


def _change_header(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = folder.joinpath(WEIGHTS).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    change(header)
    written = json.dumps(header).encode()
    _replace(folder, WEIGHTS, len(written).to_bytes(8, "little") + written + content[start:])
