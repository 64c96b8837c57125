"""Files that attack the process that opens them. Each would write a file `canary` if any of it ran."""

import functools
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Attack = Callable[[Path, Path], None]  # where to write the file, and where the canary would be


class _Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._call = function, args

    def __reduce__(self) -> Any:
        return self._call


def _code(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def _bomb(canary: Path) -> _Calls:
    return _Calls(os.system, f"touch {canary}")


def os_system(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(_bomb(canary)))


def eval_(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(_Calls(eval, _code(canary))))


def exec_(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(_Calls(exec, _code(canary)), protocol=2))


def getattr_chain(path: Path, canary: Path) -> None:
    """getattr(__import__('os'), 'system')('touch ...'), in opcodes."""
    command = f"touch {canary}".encode()
    found = b"cbuiltins\ngetattr\ncbuiltins\n__import__\n\x8c\x02os\x85R\x8c\x06system\x86R"
    path.write_bytes(b"\x80\x04" + found + b"X" + struct.pack("<I", len(command)) + command + b"\x85R.")


def dotted_name(path: Path, canary: Path) -> None:
    """A name with a dot is an attribute's attribute: `collections` has `_sys`, which has `modules`."""
    path.write_bytes(b"\x80\x04\x8c\x0bcollections\x8c\x10OrderedDict.copy\x93\x8c\x01xN\x86R.")


def import_module(path: Path, canary: Path) -> None:
    path.with_name("evil.py").write_text(_code(canary))
    path.write_bytes(pickle.dumps(_Calls(__import__, "evil")))


def build_on_a_function(path: Path, canary: Path) -> None:
    """Change the attributes of a function that may be called."""
    path.write_bytes(b"\x80\x02ccollections\nOrderedDict\n}X\x08\x00\x00\x00__code__Nsb.")


def nested_load(path: Path, canary: Path) -> None:
    """`torch.storage._load_from_bytes` is a torch.load of its own."""
    inner = io.BytesIO()
    torch.save({"x": _bomb(canary)}, inner)
    path.write_bytes(pickle.dumps(_Calls(torch.storage._load_from_bytes, inner.getvalue())))


def in_a_zip(path: Path, canary: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(2)}, "extra": _bomb(canary)}, path)


def in_a_legacy_file(path: Path, canary: Path) -> None:
    torch.save({"weight": torch.ones(2), "extra": _bomb(canary)}, path, _use_new_zipfile_serialization=False)


def torchscript(path: Path, canary: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def torchscript_by_hand(path: Path, canary: Path) -> None:
    """The archive that torch.load gives to torch.jit.load, whatever its pickle module."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        archive.writestr("model/constants.pkl", pickle.dumps(()))


def billion_laughs(path: Path, canary: Path) -> None:
    """Thirty lists, each of two references to the one before."""
    made: list[Any] = ["ha"]
    for _ in range(30):
        made = [made, made]
    path.write_bytes(pickle.dumps(made))


def billion_laughs_by_memo(path: Path, canary: Path) -> None:
    made: tuple[Any, ...] = ()
    for _ in range(9):
        made = (made,) * 12
    path.write_bytes(pickle.dumps({"words": made}))


def huge_bytearray(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(_Calls(bytearray, 4 << 30)))


def huge_length(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.")


def huge_memo_index(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".")


def huge_frame(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x04\x95" + struct.pack("<Q", 1 << 50) + b"N.")


def huge_shape(path: Path, canary: Path) -> None:
    """A tensor of one number that is repeated by a stride of 0."""
    torch.save({"weight": torch.ones(1).expand(1 << 40)}, path)


def shape_past_its_storage(path: Path, canary: Path) -> None:
    file = io.BytesIO()
    torch.save({"weight": torch.ones(3)}, file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("data.pkl"):
                content = content.replace(b"K\x03\x85", b"K\x99\x85")  # the shape (3,) becomes (153,)
            target.writestr(info.filename, content)


def huge_legacy_storage(path: Path, canary: Path) -> None:
    file = io.BytesIO()
    torch.save({"weight": torch.ones(3)}, file, _use_new_zipfile_serialization=False)
    path.write_bytes(file.getvalue().replace(b"K\x03Nt", b"J\xff\xff\xff\x7fNt"))


def traversal(path: Path, canary: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        archive.writestr(f"model/../../..{canary}", b"")


def absolute_entry(path: Path, canary: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        archive.writestr(str(canary), b"")


def link_entry(path: Path, canary: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        link = zipfile.ZipInfo("model/data/0")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")


def zip_bomb(path: Path, canary: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        archive.writestr("model/data/0", bytes(300 * 1024 * 1024))


def dill_with_code(path: Path, canary: Path) -> None:
    """What dill writes for a function: `dill._dill._create_function` of a code object."""
    path.write_bytes(b"\x80\x02cdill._dill\n_create_function\n(cdill._dill\n_create_code\nK\x00\x85RtR.")


def deep_nesting(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")


def deep_json(path: Path, canary: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


def oldest_protocol(path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(_bomb(canary), protocol=0))


def text_bomb(path: Path, canary: Path) -> None:
    """One text of a megabyte, three thousand times."""
    path.write_bytes(pickle.dumps(["x" * 1_000_000] * 3000))


def deep_by_memo(path: Path, canary: Path) -> None:
    """Thirty lists, each nested fifty times around the one before, which was seen already."""
    blocks, memo = b"]q\x00", 0
    for memo in range(1, 31):
        blocks += b"]" * 50 + b"h" + bytes([memo - 1]) + b"a" * 50 + b"q" + bytes([memo])
    path.write_bytes(b"\x80\x02(" + blocks + b"l.")


def deep_key(path: Path, canary: Path) -> None:
    """The hash of a tuple that is nested three million times overflows the stack of Python itself."""
    path.write_bytes(b"\x80\x02})" + b"\x85" * 3_000_000 + b"K\x01s.")


def many_legacy_storages(path: Path, canary: Path) -> None:
    """Each of them is as large as the file."""
    file = io.BytesIO()
    torch.save({str(n): torch.ones(3) for n in range(3000)}, file, _use_new_zipfile_serialization=False)
    count = struct.pack("<i", len(file.getvalue()) // 4 - 9)
    path.write_bytes(file.getvalue().replace(b"K\x03Nt", b"J" + count + b"Nt"))


def colliding_keys(path: Path, canary: Path) -> None:
    """Numbers of one hash: a dictionary compares each with all before it."""
    keys = b"".join(pickle.dumps(n * (2**61 - 1), 2)[2:-1] + b"N" for n in range(200_000))
    path.write_bytes(b"\x80\x02}(" + keys + b"u.")


def endless_words(path: Path, canary: Path) -> None:
    """A named pipe never ends."""
    os.mkfifo(path)


def partial_of_a_call(path: Path, canary: Path) -> None:
    """`functools.partial` becomes a stub; the function that it would call is refused."""
    path.write_bytes(pickle.dumps(functools.partial(os.system, f"touch {canary}")))


ATTACKS: list[Attack] = [
    partial_of_a_call,
    os_system,
    eval_,
    exec_,
    getattr_chain,
    dotted_name,
    import_module,
    build_on_a_function,
    nested_load,
    in_a_zip,
    in_a_legacy_file,
    torchscript,
    torchscript_by_hand,
    billion_laughs,
    billion_laughs_by_memo,
    huge_bytearray,
    huge_length,
    huge_memo_index,
    huge_frame,
    huge_shape,
    shape_past_its_storage,
    huge_legacy_storage,
    traversal,
    absolute_entry,
    link_entry,
    zip_bomb,
    dill_with_code,
    deep_nesting,
    deep_json,
    oldest_protocol,
    text_bomb,
    deep_by_memo,
    deep_key,
    many_legacy_storages,
    colliding_keys,
    endless_words,
]
