"""Reading a store: what is whole is served, what is broken is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.errors import FileDamaged, InvalidManifest, WeightsMismatch
from app.models.networks import build_network
from app.store.model_store import WEIGHTS, open_version, read_store
from app.store.publishing import file_entry
from app.store.weights import distinct_tensors, load_weights
from tests.tiny_store import all_drafts, drafts, publish_tiny, tiny_tokenizer


@pytest.fixture
def folder(tiny_store: Path, tmp_path: Path) -> Path:
    """A version of its own, to be broken."""
    shutil.copytree(tiny_store / "translate-en-ko/1", tmp_path / "translate-en-ko/1")
    return tmp_path / "translate-en-ko/1"


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads(folder.joinpath("manifest.json").read_text())
    change(manifest)
    folder.joinpath("manifest.json").write_text(json.dumps(manifest))


def rewrite_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Other tensors under a valid hash."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    entry = file_entry(folder / WEIGHTS).model_dump()
    change_manifest(folder, lambda manifest: manifest["files"].update({WEIGHTS: entry}))


def test_a_whole_store_is_read(tiny_store: Path) -> None:
    contents = read_store(tiny_store)
    names = sorted(draft.name for draft in all_drafts())
    assert [version.manifest.key for version in contents.versions] == [f"{name}/1" for name in names]
    assert contents.broken == ()


def test_a_missing_store_is_empty(tmp_path: Path) -> None:
    assert read_store(tmp_path / "nothing").versions == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.pop("task"), "not valid at task"),
        (lambda manifest: manifest.update(colour="red"), "not valid at colour"),
        (lambda manifest: manifest["architecture"]["decoder"].update(cell="mgu"), "cell"),
        (lambda manifest: manifest.update(version=2), "lies in translate-en-ko/1"),
        (lambda manifest: manifest.update(name="../x"), "not valid at name"),
        (lambda manifest: manifest["files"].pop("tokenizer.json"), "no hash for tokenizer.json"),
        (
            lambda manifest: manifest["files"].update({"../x": {"sha256": "0" * 64, "bytes": 1}}),
            "need plain names",
        ),
        (lambda manifest: manifest.pop("decoding"), "decoding"),
    ],
)
def test_a_bad_manifest_is_refused(folder: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    change_manifest(folder, change)
    with pytest.raises(InvalidManifest) as refusal:
        open_version(folder)
    assert message in refusal.value.detail


def test_a_manifest_that_is_not_json(folder: Path) -> None:
    folder.joinpath("manifest.json").write_text("{")
    with pytest.raises(InvalidManifest, match="not JSON"):
        open_version(folder)
    folder.joinpath("manifest.json").unlink()
    with pytest.raises(InvalidManifest, match="cannot be read"):
        open_version(folder)


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_files_are_checked(folder: Path, name: str) -> None:
    content = bytearray(folder.joinpath(name).read_bytes())
    content[len(content) // 2] ^= 1
    folder.joinpath(name).write_bytes(content)
    with pytest.raises(FileDamaged, match="SHA-256"):
        open_version(folder)
    folder.joinpath(name).unlink()
    with pytest.raises(FileDamaged, match="cannot be read"):
        open_version(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("decoder.output.bias"), "no tensor decoder.output.bias"),
        (lambda tensors: tensors.update(stray=torch.zeros(1)), "a tensor stray"),
        (lambda tensors: tensors.update({"decoder.output.bias": torch.zeros(3)}), r"of shape \(3,\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    rewrite_weights(folder, change)
    version = open_version(folder)
    with pytest.raises(WeightsMismatch, match=message):
        load_weights(build_network(version.manifest.architecture, mean=[], std=[]), version)


def test_weights_that_are_no_safetensors(folder: Path) -> None:
    folder.joinpath(WEIGHTS).write_bytes(b"not weights")
    entry = file_entry(folder / WEIGHTS).model_dump()
    change_manifest(folder, lambda manifest: manifest["files"].update({WEIGHTS: entry}))
    with pytest.raises(FileDamaged, match="not a safetensors file"):
        open_version(folder)


def test_tied_weights_are_stored_once_and_load_tied(tmp_path: Path) -> None:
    draft = next(draft for draft in drafts() if draft.task == "translation")
    document = draft.model_dump()
    document["architecture"]["decoder"] |= {"tied_output": True, "readout_size": 12}
    tied = type(draft).model_validate(document)
    folder = publish_tiny(tied, tmp_path, tiny_tokenizer(tmp_path))
    assert "decoder.output.weight" not in load_file(folder / WEIGHTS)
    network = build_network(tied.architecture, mean=[], std=[])
    load_weights(network, open_version(folder))
    state = network.state_dict()
    assert torch.equal(state["decoder.output.weight"], state["decoder.embedding.weight"])
    assert len(distinct_tensors(network)) == len(state) - 1
