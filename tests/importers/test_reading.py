"""Foreign files: their content is read, and nothing of them runs."""

import ast
import json
import pickle
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import app
from app.errors import CheckpointTooLarge, ImportFailed, UnreadableCheckpoint, UnsafeCheckpoint
from app.importers.reading import ForeignObject, ReadLimits, read, state_dict_of
from app.importers.vocabularies import words_of
from tests.importers.attacks import ATTACKS, Attack, colliding_keys, eval_, exec_, getattr_chain, nested_load, os_system

HARMLESS = {"huge_memo_index", "huge_frame"}  # our unpickler allocates nothing for announced sizes: the content is None


class Vocabulary:
    """The vocabulary class of image_captioning."""

    def __init__(self) -> None:
        self.word2idx = {"<pad>": 0, "a": 1, "cat": 2}
        self.idx2word = {0: "<pad>", 1: "a", 2: "cat"}
        self.idx = 3


class Whole(nn.Module):
    """A module that is saved whole."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 4)
        self.norm = nn.BatchNorm1d(4)


@pytest.mark.parametrize(
    "attack",
    [pytest.param(attack, marks=pytest.mark.slow) if attack is colliding_keys else attack for attack in ATTACKS],
    ids=lambda attack: attack.__name__,
)
def test_nothing_runs_and_the_error_is_clear(attack: Attack, tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pt", tmp_path / "canary"
    attack(path, canary)
    if attack.__name__ in HARMLESS:
        assert read(path) is None
    else:
        with pytest.raises((UnsafeCheckpoint, UnreadableCheckpoint, CheckpointTooLarge)) as caught:
            read(path, limits=ReadLimits(seconds=10))
        assert caught.value.detail.startswith("model.pt")
        assert "status" not in caught.value.detail, "the child died of it"
        assert "Traceback" not in caught.value.detail
    assert not canary.exists()
    assert sorted(file.name for file in tmp_path.iterdir()) in (["model.pt"], ["evil.py", "model.pt"])


@pytest.mark.parametrize("attack", [os_system, eval_, exec_, nested_load, getattr_chain], ids=lambda a: a.__name__)
def test_the_attacks_are_real(attack: Attack, tmp_path: Path) -> None:
    """Python's own unpickler does run them."""
    path, canary = tmp_path / "model.pt", tmp_path / "canary"
    attack(path, canary)
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    if attack is nested_load:
        code = "import torch; load = torch.load; torch.load = lambda f, **k: load(f, weights_only=False); " + code
    subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=False)
    assert canary.exists()


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_state_dicts_are_read_as_torch_reads_them(new: bool, tmp_path: Path) -> None:
    tied = torch.randn(3, 4)
    saved = OrderedDict(
        float=torch.randn(2, 3),
        half=torch.randn(5).half(),
        brain=torch.randn(5).bfloat16(),
        double=torch.randn(2, 2, 2).double(),
        count=torch.tensor(7),
        flags=torch.tensor([True, False]),
        bytes=torch.arange(4, dtype=torch.uint8),
        turned=torch.randn(3, 4).t(),
        sliced=torch.randn(6, 6)[1:4, ::2],
        empty=torch.zeros(0, 3),
        tied=tied,
        also_tied=tied,
        parameter=nn.Parameter(torch.randn(2)),
    )
    path = tmp_path / "model.pt"
    torch.save({"epoch": 3, "model": saved}, path, _use_new_zipfile_serialization=new)
    found = read(path)
    assert found["epoch"] == 3
    assert list(found["model"]) == list(saved)
    for name, tensor in saved.items():
        assert found["model"][name].dtype == tensor.dtype
        assert torch.equal(found["model"][name], tensor.detach()), name


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_whole_modules_become_their_weights(new: bool, tmp_path: Path) -> None:
    module = Whole()
    torch.save({"encoder": module}, tmp_path / "whole.pt", _use_new_zipfile_serialization=new)
    found = read(tmp_path / "whole.pt")["encoder"]
    assert isinstance(found, ForeignObject)
    assert found.name.endswith("test_reading.Whole")
    weights = state_dict_of(found)
    wanted = module.state_dict()
    assert weights.keys() == wanted.keys()
    assert all(torch.equal(weights[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("protocol", range(6))
def test_objects_keep_their_attributes(protocol: int, tmp_path: Path) -> None:
    made: dict[str, Any] = {
        "vocabulary": Vocabulary(),
        "counts": Counter({"a": 2}),
        "nested": defaultdict(dict, {"x": {"y": (1, 2.5, None, True)}}),
        "set": {1},
        "bytes": b"abc",
        "big": 2**80,
    }
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps(made, protocol=protocol))
    found = read(tmp_path / "vocab.pkl")
    assert found["vocabulary"].state["idx2word"] == {0: "<pad>", 1: "a", 2: "cat"}
    assert words_of(found["vocabulary"]) == ["<pad>", "a", "cat"]
    assert found["nested"] == {"x": {"y": (1, 2.5, None, True)}}
    assert (found["set"], found["bytes"], found["big"]) == ([1], b"abc", str(2**80))


def test_other_formats(tmp_path: Path) -> None:
    tensors = {"weight": torch.randn(2, 3), "brain": torch.randn(3).bfloat16()}
    save_file(tensors, tmp_path / "model.safetensors")
    found = read(tmp_path / "model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    (tmp_path / "words.json").write_text(json.dumps({"ein": 0, "Wörterbuch": 1}), encoding="utf8")
    assert words_of(read(tmp_path / "words.json")) == ["ein", "Wörterbuch"]
    (tmp_path / "words.txt").write_text("<unk>\n한국어\n", encoding="utf8")
    assert words_of(read(tmp_path / "words.txt")) == ["<unk>", "한국어"]


def test_a_list_of_words_may_end_in_a_full_stop(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("the\ncat\n.")
    assert read(tmp_path / "words.txt") == ["the", "cat", "."]


def test_a_file_named_code_is_no_program(tmp_path: Path) -> None:
    """torch.save names the folder in the zip after the file."""
    torch.save({"weight": torch.ones(2)}, tmp_path / "code.pt")
    assert torch.equal(read(tmp_path / "code.pt")["weight"], torch.ones(2))


def test_values_that_cannot_be_written_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps(["\ud800", 10**5000]))
    assert read(tmp_path / "odd.pkl") == ["?", hex(10**5000)]


def test_a_default_of_old_torchtext_is_dropped(tmp_path: Path) -> None:
    """`stoi` before torchtext 0.6 is a defaultdict of a function."""
    made = b"ccollections\ndefaultdict\nctorchtext.vocab\n_default_unk_index\n\x85RX\x01\x00\x00\x00aK\x00s"
    (tmp_path / "stoi.pkl").write_bytes(b"\x80\x02" + made + b".")
    assert read(tmp_path / "stoi.pkl") == {"a": 0}


def test_a_link_leads_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")
    (tmp_path / "link").symlink_to(tmp_path / "words.txt")
    assert read(tmp_path / "link") == ["a", "b"]
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for name in ("device", "nowhere", "round", "."):
        with pytest.raises(UnreadableCheckpoint):
            read(tmp_path / name)


def test_limits(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\n" * 100)
    with pytest.raises(CheckpointTooLarge, match="the limit is 10"):
        read(tmp_path / "words.txt", limits=ReadLimits(bytes=10))


@pytest.mark.parametrize("cut", [0.02, 0.3, 0.7, 0.98])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_a_file_cut_short_is_the_users_error(new: bool, cut: float, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(Whole().state_dict(), path, _use_new_zipfile_serialization=new)
    content = path.read_bytes()
    path.write_bytes(content[: int(cut * len(content))])
    with pytest.raises(ImportFailed, match=r"model\.pt"):
        read(path)


_UNPICKLE = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def test_the_serving_process_cannot_unpickle() -> None:
    """Only modules of the importers import an unpickler, and none calls torch.load or numpy.load."""
    root = Path(app.__file__).parent
    looked = 0
    for file in root.rglob("*.py"):
        if root / "importers" in file.parents:
            continue
        looked += 1
        for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & _UNPICKLE, file
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("torch", "load"), ("numpy", "load"), ("np", "load")}, file
    assert looked > 50
