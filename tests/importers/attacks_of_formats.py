"""Files of other formats than torch.save that attack the process that opens them: HDF5, zip, numpy, joblib, ONNX."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.importers.attacks import Attack, _bomb

_WEIGHTS = "layers/lstm/cell/vars"


def _hdf5(write: Callable[[Any], None], **options: Any) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as opened:
        write(opened)
    return file.getvalue()


def _with_weights(path: Path, write: Callable[[Any], None]) -> None:
    path.write_bytes(_hdf5(lambda file: write(file.create_group(_WEIGHTS))))


def hdf5_huge_shape(path: Path, canary: Path) -> None:
    """None of its chunks is there, so the file is tiny."""
    _with_weights(path, lambda group: group.create_dataset("0", (1 << 36,), "f4", chunks=(1024,)))


def hdf5_bomb(path: Path, canary: Path) -> None:
    zeros = np.zeros(5_000_000, np.float32)
    _with_weights(path, lambda group: group.create_dataset("0", data=zeros, compression="gzip"))


def hdf5_many_small_bombs(path: Path, canary: Path) -> None:
    def write(group: Any) -> None:
        for number in range(100):
            group.create_dataset(str(number), (1 << 20,), "f8", chunks=(1024,))

    _with_weights(path, write)


def hdf5_huge_chunk(path: Path, canary: Path) -> None:
    """A hundred numbers in a chunk of 256 MiB."""
    _with_weights(
        path, lambda group: group.create_dataset("0", (100,), "f4", maxshape=(None,), chunks=(1 << 26,), compression=1)
    )


def hdf5_external_link(path: Path, canary: Path) -> None:
    def write(file: Any) -> None:
        file.create_group("layers")["lstm"] = h5py.ExternalLink("/etc/passwd", "/")

    path.write_bytes(_hdf5(write))


def hdf5_soft_link(path: Path, canary: Path) -> None:
    def write(file: Any) -> None:
        file.create_group("layers")["lstm"] = h5py.SoftLink("/layers")

    path.write_bytes(_hdf5(write))


def hdf5_external_storage(path: Path, canary: Path) -> None:
    _with_weights(path, lambda group: group.create_dataset("0", (8,), "u1", external=[("/etc/passwd", 0, 8)]))


def hdf5_virtual_dataset(path: Path, canary: Path) -> None:
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
    _with_weights(path, lambda group: group.create_virtual_dataset("0", layout))


def hdf5_group_in_itself(path: Path, canary: Path) -> None:
    def write(group: Any) -> None:
        group.parent["cell"] = group.parent

    _with_weights(path, write)


def hdf5_groups_by_doubling(path: Path, canary: Path) -> None:
    """Thirty groups, each of which has two links to the next one."""

    def write(group: Any) -> None:
        for _ in range(30):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner

    path.write_bytes(_hdf5(lambda file: write(file.create_group("layers"))))


def hdf5_deep_groups(path: Path, canary: Path) -> None:
    def write(group: Any) -> None:
        for _ in range(1000):
            group = group.create_group("a")

    path.write_bytes(_hdf5(write))


def hdf5_unknown_filter(path: Path, canary: Path) -> None:
    """A filter that HDF5 would load from a folder of plugins."""

    def write(group: Any) -> None:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((4,))
        settings.set_filter(31_999, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), settings)

    _with_weights(path, write)


def hdf5_header_in_a_loop(path: Path, canary: Path) -> None:
    """An object header goes on at itself."""

    def write(file: Any) -> None:
        for number in range(30):
            file.attrs[f"a{number}"] = "x" * 100

    content = bytearray(_hdf5(write))
    at = content.index(struct.pack("<HH", 0x10, 16))  # the message that says where the header goes on
    content[at + 8 : at + 24] = struct.pack("<QQ", at, 24)
    path.write_bytes(content)


def hdf5_tree_in_a_loop(path: Path, canary: Path) -> None:
    """The tree of a group has itself as a branch."""
    content = bytearray(_hdf5(lambda file: file.create_group(_WEIGHTS)))
    at = content.index(b"TREE")
    content[at + 5] = 1
    content[at + 32 : at + 40] = struct.pack("<Q", at)
    path.write_bytes(content)


def hdf5_repeated_text(path: Path, canary: Path) -> None:
    """An attribute of 3000 texts, each of which is the same megabyte: it is read by HDF5 itself, into all memory."""
    texts = ["x" * 1_000_000, *("yy" for _ in range(3000))]

    def write(file: Any) -> None:
        file.attrs.create("layer_names", texts, dtype=h5py.string_dtype())

    content = bytearray(_hdf5(write))
    second = content.index(struct.pack("<I", 2), content.index(b"layer_names"))  # length, place and number of a text
    first = bytes(content[second - 16 : second])
    for number in range(3000):
        content[second + 16 * number : second + 16 * (number + 1)] = first
    path.write_bytes(content)


def hdf5_lambda(path: Path, canary: Path) -> None:
    layer = {"class_name": "Lambda", "config": {"name": "mine", "function": ["4wEAAAAAAAAA", None, None]}}
    config = {"class_name": "Sequential", "config": {"layers": [layer]}}

    def write(file: Any) -> None:
        file.attrs["model_config"] = json.dumps(config)
        file.create_group("model_weights").attrs["layer_names"] = ["mine"]

    path.write_bytes(_hdf5(write))


def hdf5_deep_settings(path: Path, canary: Path) -> None:
    def write(file: Any) -> None:
        file.attrs["model_config"] = "[" * 50_000 + "]" * 50_000
        file.create_group("model_weights")

    path.write_bytes(_hdf5(write))


def hdf5_cut_short(path: Path, canary: Path) -> None:
    path.write_bytes(_hdf5(lambda file: file.create_dataset("x", data=np.zeros(1000)))[:3000])


def _zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytearray:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return bytearray(path.read_bytes())


def _patch(path: Path, content: bytearray, local: int, central: int, value: int) -> None:
    """Change a number of 16 bits in both headers of the first entry."""
    start, directory = content.index(b"PK\x03\x04"), content.index(b"PK\x01\x02")
    for at in (start + local, directory + central):
        content[at : at + 2] = struct.pack("<H", value)
    path.write_bytes(content)


def zip_encrypted(path: Path, canary: Path) -> None:
    _patch(path, _zip(path, {"m/data.pkl": pickle.dumps({})}), 6, 8, 1)


def zip_unknown_method(path: Path, canary: Path) -> None:
    _patch(path, _zip(path, {"m/data.pkl": pickle.dumps({})}), 8, 10, 97)


def zip_with_a_false_size(path: Path, canary: Path) -> None:
    """It unpacks to more than it says."""
    content = _zip(path, {"m/data.pkl": bytes(5_000_000)}, zipfile.ZIP_DEFLATED)
    for header, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.index(header) + at
        content[start : start + 4] = struct.pack("<I", 100)
    path.write_bytes(content)


def zip_of_one_entry_many_times(path: Path, canary: Path) -> None:
    """Each entry of the directory is the same bytes, which unpack to 10 MB."""
    content = _zip(path, {"m/data/00000": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[start:end]
    directory = bytearray()
    for number in range(1000):
        directory += entry.replace(b"m/data/00000", f"m/data/{number:05}".encode())
    tail = content[end:]
    tail[8:12] = struct.pack("<HH", 1000, 1000)
    tail[12:16] = struct.pack("<I", len(directory))
    path.write_bytes(content[:start] + directory + tail)


def zip_of_something_else(path: Path, canary: Path) -> None:
    _zip(path, {"readme.txt": b"hello"})


def zip_of_a_saved_model(path: Path, canary: Path) -> None:
    _zip(path, {"model/saved_model.pb": b"\x08\x01", "model/variables/variables.index": b""})


def keras_with_deep_settings(path: Path, canary: Path) -> None:
    _zip(path, {"config.json": b"[" * 100_000, "model.weights.h5": _hdf5(lambda file: None)})


def keras_with_a_bomb_inside(path: Path, canary: Path) -> None:
    weights = _hdf5(lambda file: file.create_dataset(f"{_WEIGHTS}/0", (1 << 30,), "f4", chunks=(1024,)))
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "LSTM", "config": {"name": "x"}}]}}
    _zip(path, {"config.json": json.dumps(config).encode(), "model.weights.h5": weights})


def _npy(kind: str, shape: str, content: bytes = b"") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def npy_of_objects(path: Path, canary: Path) -> None:
    path.write_bytes(_npy("|O", "(1,)", pickle.dumps(_bomb(canary))))


def npy_huge(path: Path, canary: Path) -> None:
    path.write_bytes(_npy("<f4", "(1099511627776,)"))


def npy_of_empty_texts(path: Path, canary: Path) -> None:
    path.write_bytes(_npy("<U0", "(1099511627776,)"))


def npy_with_code(path: Path, canary: Path) -> None:
    path.write_bytes(_npy("<f4", f"(__import__('os').system('touch {canary}'),)"))


def npz_of_objects(path: Path, canary: Path) -> None:
    _zip(path, {"words.npy": _npy("|O", "(1,)", pickle.dumps(_bomb(canary)))})


def npz_bomb(path: Path, canary: Path) -> None:
    _zip(path, {"weight.npy": _npy("<f4", "(5000000,)", bytes(20_000_000))}, zipfile.ZIP_DEFLATED)


def _array(shape: tuple[int, ...], kind: str, content: Any) -> bytes:
    """A pickled array with a state of one's own."""
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR("
    dtype = b"cnumpy\ndtype\n(X" + struct.pack("<I", len(kind)) + kind.encode() + b"K\x00K\x01tR"
    state = pickle.dumps(content, 2)[2:-1]
    return b"\x80\x03" + head + b"K\x01" + pickle.dumps(shape, 2)[2:-1] + dtype + b"I00\n" + state + b"tb."


def numpy_pickle_huge(path: Path, canary: Path) -> None:
    path.write_bytes(_array((1 << 39,), "f4", b"1234"))


def numpy_pickle_of_no_bytes(path: Path, canary: Path) -> None:
    path.write_bytes(_array((1 << 39,), "U0", b""))


def numpy_pickle_of_many_lists(path: Path, canary: Path) -> None:
    path.write_bytes(_array((1 << 39, 1), "O", []))


def numpy_array_in_itself(path: Path, canary: Path) -> None:
    """An array of one object without a dimension, which is that array."""
    content = _array((), "O", [0])
    path.write_bytes(content.replace(b"tR(", b"tRq\x63(", 1).replace(b"]q\x00K\x00a", b"]h\x63a"))


def _joblib(shape: tuple[int, ...], kind: str, after: bytes) -> bytes:
    wrapper = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}("
    entries = pickle.dumps("shape", 2)[2:-1] + pickle.dumps(shape, 2)[2:-1] + pickle.dumps("order", 2)[2:-1]
    entries += pickle.dumps("C", 2)[2:-1] + pickle.dumps("dtype", 2)[2:-1]
    dtype = b"cnumpy\ndtype\n(X" + struct.pack("<I", len(kind)) + kind.encode() + b"K\x00K\x01tR"
    return b"\x80\x03" + wrapper + entries + dtype + b"ub" + after + b"."


def joblib_of_objects(path: Path, canary: Path) -> None:
    path.write_bytes(_joblib((1,), "O", pickle.dumps(_bomb(canary))))


def joblib_in_joblib(path: Path, canary: Path) -> None:
    content = b"N"
    for _ in range(100):
        content = _joblib((1,), "O", content)
    path.write_bytes(content)


def joblib_huge(path: Path, canary: Path) -> None:
    path.write_bytes(_joblib((1 << 40,), "f8", b"12345678"))


def gzip_bomb(path: Path, canary: Path) -> None:
    path.write_bytes(gzip.compress(bytes(20_000_000)))


def gzip_of_an_attack(path: Path, canary: Path) -> None:
    path.write_bytes(gzip.compress(pickle.dumps(_bomb(canary))))


def gzip_in_gzip(path: Path, canary: Path) -> None:
    path.write_bytes(gzip.compress(gzip.compress(b"word\n")))


def colliding_tuples(path: Path, canary: Path) -> None:
    keys = b"".join(pickle.dumps((n * (2**61 - 1),), 2)[2:-1] + b"N" for n in range(20_000))
    path.write_bytes(b"\x80\x02}(" + keys + b"u.")


def colliding_keys_in_pairs(path: Path, canary: Path) -> None:
    """The same by the opcode DICT, which makes a dictionary at once."""
    keys = b"".join(pickle.dumps(n * (2**61 - 1), 2)[2:-1] + b"N" for n in range(20_000))
    path.write_bytes(b"\x80\x02(" + keys + b"d.")


def _numbers(*numbers: int) -> bytes:
    return b"(" + b"".join(pickle.dumps(number, 2)[2:-1] + b"N" for number in numbers) + b"u."


def numbers_on_one_chain(path: Path, canary: Path) -> None:
    """Different hashes, and the same chain of places in the table."""
    path.write_bytes(b"\x80\x02}" + _numbers(*range(10_001), 2**60))


def entries_on_one_chain(path: Path, canary: Path) -> None:
    """The same in an object."""
    path.write_bytes(b"\x80\x02cwords\nWords\n)R" + _numbers(*range(10_001), 2**60))


def a_number_again_and_again(path: Path, canary: Path) -> None:
    """Each time it may be looked for at many places."""
    path.write_bytes(b"\x80\x02}" + _numbers(*range(10_001), *(5,) * 200))


def numbers_with_gaps(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02cwords\nWords\n)R" + _numbers(*range(0, 400_000, 20)))


def doubled_key(path: Path, canary: Path) -> None:
    """The hash of a tuple of two times the one before, sixty times."""
    path.write_bytes(b"\x80\x02})" + b"2\x86" * 60 + b"Ns.")


def long_numbers_as_keys(path: Path, canary: Path) -> None:
    number = b"\x8b" + struct.pack("<i", 1_000_000) + bytes(999_999) + b"\x01"
    path.write_bytes(b"\x80\x02}" + number + b"q\x00Ns(" + b"h\x00N" * 50_000 + b"u.")


def call_of_a_function_of_the_user(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02c__main__\nrun_it\n)R.")


def _field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return bytes((number << 3,)) + _varint(content)
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes((*made, value))


def _onnx(graph: bytes) -> bytes:
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 17))


def onnx_deep(path: Path, canary: Path) -> None:
    """A graph in an attribute of a node of a graph, 300 times."""
    graph = b""
    for _ in range(300):
        graph = _field(1, _field(4, b"If") + _field(5, _field(1, b"x") + _field(6, graph) + _varint(20 << 3) + b"\x05"))
    path.write_bytes(_onnx(graph))


def onnx_false_length(path: Path, canary: Path) -> None:
    path.write_bytes(_onnx(b"\x2a" + _varint(1 << 60) + b"x"))


def onnx_endless_number(path: Path, canary: Path) -> None:
    path.write_bytes(_onnx(_field(5, b"\x08" + b"\xff" * 100_000)))


def onnx_huge_tensor(path: Path, canary: Path) -> None:
    path.write_bytes(_onnx(_field(5, _field(1, 1 << 39) + _field(2, 1) + _field(8, b"w"))))


def onnx_external_data(path: Path, canary: Path) -> None:
    where = _field(13, _field(1, b"location") + _field(2, b"/etc/passwd"))
    path.write_bytes(_onnx(_field(5, _field(1, 4) + _field(2, 1) + _field(8, b"w") + where + _field(14, 1))))


def saved_model(path: Path, canary: Path) -> None:
    path.write_bytes(_field(1, 1) + _field(2, b"a graph"))


def tflite(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(100))


def tar_gz(path: Path, canary: Path) -> None:
    path.write_bytes(gzip.compress(bytes(257) + b"ustar" + bytes(1000)))


_RUNS, _LARGE, _NUMPY = "could run code; nothing of it was run", "declare more bytes", "an array of numpy"
HDF5: dict[Attack, str] = {  # and what the error says
    hdf5_huge_shape: _LARGE,
    hdf5_bomb: _LARGE,
    hdf5_many_small_bombs: _LARGE,
    hdf5_huge_chunk: _LARGE,
    hdf5_external_link: "is a link to another file",
    hdf5_soft_link: "is a link to another part",
    hdf5_external_storage: "lie in another file",
    hdf5_virtual_dataset: "lie in another file",
    hdf5_group_in_itself: "nested more than",
    hdf5_groups_by_doubling: "more than 5000 groups",
    hdf5_deep_groups: "nested more than",
    hdf5_unknown_filter: "which is a plugin",
    hdf5_header_in_a_loop: "damaged or cut short",
    hdf5_lambda: "'mine' is a Lambda, which holds a Python program; nothing of it was run",
    hdf5_deep_settings: "not valid JSON",
    hdf5_cut_short: "damaged or cut short",
    keras_with_deep_settings: "not valid JSON",
    keras_with_a_bomb_inside: _LARGE,
}
OTHERS: dict[Attack, str] = {
    zip_encrypted: "'m/data.pkl' is encrypted",
    zip_unknown_method: "compression method is not supported",
    zip_with_a_false_size: "cannot be unpacked",
    zip_of_one_entry_many_times: "unpack to 10000000000 bytes",
    zip_of_something_else: "a zip archive of 1 files (readme.txt)",
    zip_of_a_saved_model: "SavedModel of TensorFlow",
    npy_of_objects: _RUNS,
    npy_huge: _NUMPY,
    npy_of_empty_texts: _NUMPY,
    npy_with_code: _NUMPY,
    npz_of_objects: _RUNS,
    npz_bomb: "unpack to 20000073 bytes",
    numpy_pickle_huge: _NUMPY,
    numpy_pickle_of_many_lists: _NUMPY,
    numpy_array_in_itself: "nested too deeply",
    joblib_of_objects: _RUNS,
    joblib_in_joblib: "nested in it more than twice",
    joblib_huge: _NUMPY,
    gzip_bomb: "unpacks to more than",
    gzip_of_an_attack: _RUNS,
    gzip_in_gzip: "format is unknown",
    colliding_tuples: "collide on purpose",
    colliding_keys_in_pairs: "collide on purpose",
    numbers_on_one_chain: "collide on purpose",
    entries_on_one_chain: "collide on purpose",
    a_number_again_and_again: "collide on purpose",
    numbers_with_gaps: "more than 10,000 numbers as keys",
    doubled_key: "a key of its dictionaries is too large",
    long_numbers_as_keys: "a key of its dictionaries is too large",
    call_of_a_function_of_the_user: "it uses __main__.run_it, which could run code",
    onnx_deep: "nested more than 8 deep",
    onnx_false_length: "damaged or cut short",
    onnx_endless_number: "damaged or cut short",
    onnx_huge_tensor: "and 0 numbers",
    onnx_external_data: "lie in another file",
    saved_model: "SavedModel of TensorFlow",
    tflite: "model of TensorFlow Lite",
    tar_gz: "compressed tar archive",
}
