"""Arrays of numpy, joblib, ONNX, compressed files and odd zip archives. Parsed in this process, where that suffices."""

import bz2
import gzip
import io
import json
import pickle
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from app.importers.formats import parse
from app.importers.formats.bounds import Bounds
from app.importers.formats.numpy_arrays import unwrapped
from app.importers.formats.refusals import Refused
from app.importers.formats.storages import TensorView
from app.importers.reading import read
from tests.importers.attacks_of_formats import _field, _varint

ARRAYS = {
    "floats": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">f8"),
    "half": np.array([1, 2], np.float16),
    "unsigned": np.arange(3, dtype=np.uint16),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3), np.float32),
    "one": np.array(5.0),
}


def plain(value: Any) -> Any:
    """As lists: what the parent makes of it is tested by `read` elsewhere."""
    value = unwrapped(value)
    if isinstance(value, TensorView):
        kinds = {"BOOL": "?", "F16": "f2", "F32": "f4", "F64": "f8", "I32": "i4", "I64": "i8"}
        return np.frombuffer(value.content(), kinds[str(value.type.name)]).reshape(value.shape).tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def parsed(content: bytes) -> Any:
    return plain(parse(content, Bounds(len(content))))


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_numbers_in_pickles(protocol: int) -> None:
    texts = {
        "words": np.array(["a", "한국어"]),
        "bytes": np.array([b"ab", b"c"]),
        "objects": np.array([["a", None]], object),
    }
    scalars = {"float": np.float64(2.5), "int": np.int64(-3), "flag": np.bool_(True), "text": np.str_("one")}
    found = parsed(pickle.dumps(ARRAYS | texts | scalars, protocol=protocol))
    assert {name: found[name] for name in ARRAYS} == {name: array.tolist() for name, array in ARRAYS.items()}
    assert (found["words"], found["bytes"], found["objects"]) == (["a", "한국어"], ["ab", "c"], [["a", None]])
    assert [found[name] for name in scalars] == [2.5, -3, True, "one"]


class Scaler:
    """As sklearn's."""

    def __init__(self) -> None:
        self.scale_, self.copy, self.data_min_ = np.array([0.5, 2.0]), True, np.array([1.0, -1.0])
        self.feature_names_in_ = np.array(["a", "b"], dtype=object)
        self.order = np.asfortranarray(np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3)], ids=str)
def test_joblib(compress: Any, tmp_path: Path) -> None:
    joblib.dump({"scaler": Scaler(), "after": [1, "x"]}, tmp_path / "x.joblib", compress=compress)
    content = (tmp_path / "x.joblib").read_bytes()
    found = parse(content, Bounds(len(content)))
    state = plain(found["scaler"].state)
    assert (state["scale_"], state["data_min_"], state["copy"]) == ([0.5, 2.0], [1.0, -1.0], True)
    assert (state["feature_names_in_"], state["order"]) == (["a", "b"], [[0, 1, 2], [3, 4, 5]])
    assert found["after"] == [1, "x"]


def test_a_scaler_reaches_the_parent(tmp_path: Path) -> None:
    joblib.dump(Scaler(), tmp_path / "x.joblib")
    found = read(tmp_path / "x.joblib")
    assert found.name.endswith("test_formats.Scaler")
    assert torch.equal(found.state["scale_"], torch.tensor([0.5, 2.0], dtype=torch.float64))
    assert found.state["feature_names_in_"] == ["a", "b"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=lambda save: save.__name__)
def test_files_of_numpy(save: Any) -> None:
    file = io.BytesIO()
    save(file, **ARRAYS)
    assert parsed(file.getvalue()) == {name: array.tolist() for name, array in ARRAYS.items()}
    for content in (np.array(["a", "b"]), np.array({"a": 1, "b": 2}, dtype=object)):
        file = io.BytesIO()
        np.save(file, content)
        assert parsed(file.getvalue()) == content.tolist()


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, zlib.compress], ids=["gzip", "bz2", "zlib"])
def test_compressed_words(compress: Any) -> None:
    assert parsed(compress(b"<unk>\nthe\ncat\n" * 3)) == ["<unk>", "the", "cat"] * 3


def test_a_zip_archive_without_the_mark_for_utf8(tmp_path: Path) -> None:
    """Names in the code page of old zips, for which Python imports a module: it was taken for an attack."""
    torch.save({"weight": torch.ones(2)}, tmp_path / "saved.pt")
    with zipfile.ZipFile(tmp_path / "saved.pt") as saved, zipfile.ZipFile(tmp_path / "x.pt", "w") as made:
        for info in saved.infolist():
            made.writestr(info.filename.replace("saved/", "modXle/"), saved.read(info))
    (tmp_path / "x.pt").write_bytes((tmp_path / "x.pt").read_bytes().replace(b"modXle/", b"mod\x8ale/"))
    assert torch.equal(read(tmp_path / "x.pt")["weight"], torch.ones(2))


class Network(nn.Module):
    """With functions as attributes, as many are saved whole."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.act, self.gate = nn.Linear(2, 2), nn.functional.relu, torch.tanh


def test_functions_as_attributes_are_names(tmp_path: Path) -> None:
    torch.save(Network(), tmp_path / "x.pt")
    found = read(tmp_path / "x.pt")
    assert (found.state["act"], found.state["gate"]) == ("torch.nn.functional.relu", "torch.tanh")


def test_modules_of_torch_before_1_3() -> None:
    """The name of their backend is that of a function, and a parameter is an object of a class."""
    made = b"\x80\x02c__main__\nNet\n)\x81}(X\x08\x00\x00\x00_backend"
    made += b"ctorch.nn.backends.thnn\n_get_thnn_function_backend\n)RX\x05\x00\x00\x00modelX\x03\x00\x00\x00gruub."
    found = parse(made, Bounds(len(made)))
    assert found.state["model"] == "gru"


@pytest.mark.parametrize(
    ("mark", "way"),
    [
        (b"cfastai.learner\nLearner\n", "learn.save('model', with_opt=False)"),
        (b"cdarts.models.forecasting.rnn_model\nRNNModel\n", ".ckpt"),
        (b"ckeras.models\nSequential\n", "model.save('model.keras')"),
        (b"c__main__\nNet\n", "model.state_dict()"),
    ],
)
def test_a_refused_pickle_has_a_way_out(mark: bytes, way: str) -> None:
    content = b"\x80\x02(" + mark + b"cos\nsystem\nX\x01\x00\x00\x00x\x85Rl."
    with pytest.raises(Refused) as caught:
        parse(content, Bounds(len(content)))
    assert "it uses os.system, which could run code; nothing of it was run" in str(caught.value)
    assert way in str(caught.value)


def test_onnx() -> None:
    weight = (
        _field(1, 2) + _field(1, 3) + _field(2, 1) + _field(8, b"w") + _field(9, np.arange(6, dtype="<f4").tobytes())
    )
    packed = _field(1, b"\x02") + _field(2, 7) + _field(8, b"i") + _field(7, _varint(5) + _varint(2**64 - 1))
    attribute = _field(1, b"hidden_size") + _field(3, 24) + _varint(20 << 3) + b"\x02"
    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"LSTM") + _field(5, attribute)
    shape = _field(1, _field(2, b"batch")) + _field(1, _field(1, 6))
    value = _field(1, b"x") + _field(2, _field(1, _field(1, 1) + _field(2, shape)))
    graph = _field(1, node) + _field(5, weight) + _field(5, packed) + _field(11, value)
    content = (
        _field(1, 8)
        + _field(2, b"mine")
        + _field(3, b"1.0")
        + _field(7, graph)
        + _field(8, _field(1, b"") + _field(2, 17))
    )
    found = parse(content, Bounds(len(content)))
    assert (found.name, found.state["producer"], found.state["opsets"]) == ("onnx.Model", "mine 1.0", {"": 17})
    graph = found.state["graph"]
    assert graph["inputs"] == {"x": ["batch", 6]}
    assert plain(graph["initializers"]) == {"w": [[0, 1, 2], [3, 4, 5]], "i": [5, -1]}
    (made,) = graph["nodes"]
    assert (made["op"], made["inputs"], made["outputs"]) == ("LSTM", ["x"], ["y"])
    assert made["attributes"] == {"hidden_size": 24}


def test_a_dictionary_of_many_tuples_is_read() -> None:
    """Pairs of words, which do not collide."""
    pairs = {(n, str(n)): n for n in range(2000)}
    assert parse(pickle.dumps(pairs), Bounds(100_000)) == pairs


CONFINED = """
import ctypes, json, sys
from pathlib import Path
from app.importers.formats.bounds import Bounds
from app.importers.untrusted.confinement import confine
library = ctypes.CDLL(None)
version, opens = library.syscall(444, None, ctypes.c_size_t(0), 1), library.open
folder = Path(sys.argv[1])
confine(folder, Bounds(100), 60)
said = version, opens(b"/etc/passwd", 0), opens(str(folder / "new").encode(), 0o101, 0o600)
try:
    import colorsys
except ImportError:
    said += (True,)
print(json.dumps(said))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is part of Linux")
def test_a_library_in_c_opens_no_other_file(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", CONFINED, str(tmp_path)], capture_output=True, text=True, check=True)
    version, outside, inside, nothing_imported = json.loads(ran.stdout)
    if version < 1:
        pytest.skip("this kernel has no Landlock")
    assert outside == -1
    assert inside > 0
    assert nothing_imported
