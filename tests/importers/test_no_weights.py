"""Files that are given as --checkpoint and have no weights are named, each with the way out."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.importers.importing import asked, run_import, saved
from tests.importers.test_words_of_refusals import classifier


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("page.pt", b"<!DOCTYPE html><html><body>Virus scan warning</body></html>", "it is a page of HTML"),
        ("page.pt", b"\n <HTML><head></head></HTML>", "it is a page of HTML"),
        ("lfs.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 132\n", "git lfs pull"),
        ("model.gguf", b"GGUF\x03\x00\x00\x00" + bytes(96), "it is a file of GGUF"),
        ("notes.pt", b"hello, this is my model", "notes.pt is a text or a list of words"),
        ("export.pkl", pickle.dumps({"a": 1}), "load_learner"),
        ("dict.pkl", pickle.dumps({"a": 1}), "dict.pkl is a dictionary without tensors (keys a)"),
    ],
)
def test_a_file_without_weights_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    tmp_path.joinpath(name).write_bytes(content)
    printed = asked(tmp_path, f"--checkpoint={tmp_path / name}")
    assert told in printed
    assert name in printed


def test_an_optimizer_alone_is_named(tmp_path: Path) -> None:
    module = nn.LSTM(2, 3)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(2, 2))[0].sum().backward()
    optimizer.step()
    assert "the state of an optimizer alone" in asked(tmp_path, saved(tmp_path, optimizer.state_dict()))


def test_a_model_of_sklearn_is_named(tmp_path: Path) -> None:
    pickled = b"\x80\x02csklearn.linear_model._logistic\nLogisticRegression\n)\x81}X\x01\x00\x00\x00CK\x01sb."
    tmp_path.joinpath("model.pkl").write_bytes(pickled)
    printed = asked(tmp_path, f"--checkpoint={tmp_path / 'model.pkl'}")
    assert "model.pkl is a LogisticRegression of sklearn, which is no neural network" in printed


def test_a_folder_and_an_address_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    assert "saved is a folder; name the file inside" in asked(tmp_path, f"--checkpoint={folder}")
    folder.joinpath("saved_model.pb").write_bytes(b"\x08\x01\x12\x02\x08\x01")
    assert "SavedModel of TensorFlow" in asked(tmp_path, f"--checkpoint={folder}")
    assert "SavedModel of TensorFlow" in asked(tmp_path, f"--checkpoint={folder / 'saved_model.pb'}")
    ran = run_import(tmp_path, "--checkpoint=https://example.com/model.pt")
    assert "is an address: download the file first" in ran.output.replace("\n", " ")
    assert asked(tmp_path, saved(tmp_path, classifier()))  # a file is taken as before
