"""`unroll show`, `verify` and `remove` on a copy of the tiny store."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from app.store.model_store import WEIGHTS


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    for name in ("sentiment-en", "caption-en"):
        shutil.copytree(tiny_store / name, tmp_path / name)
    return tmp_path


def run(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--store", str(store)])


def test_show_tells_the_manifest(store: Path) -> None:
    shown = json.loads(run(store, "show", "sentiment-en").output)
    assert shown["architecture"]["encoder"]["recurrence"]["cell"] == "lstm"
    missing = run(store, "show", "nothing")
    assert missing.exit_code == 1
    assert "unroll list" in missing.output


def test_verify_runs_every_version(store: Path) -> None:
    ran = run(store, "verify")
    assert (ran.exit_code, ran.output) == (0, "caption-en/1\tsound\nsentiment-en/1\tsound\n")
    weights = store / "caption-en" / "1" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    ran = run(store, "verify")
    assert ran.exit_code == 1
    assert "sentiment-en/1\tsound" in ran.output
    assert f"caption-en/1\tbroken: {WEIGHTS} does not have the SHA-256" in ran.output
    assert run(store, "verify", "sentiment-en").exit_code == 0
    assert run(store, "verify", "nothing").exit_code == 1


def test_remove_asks_first(store: Path) -> None:
    assert "say which version: `unroll remove caption-en 1`" in run(store, "remove", "caption-en").output
    kept = CliRunner().invoke(main, ["remove", "caption-en", "1", "--store", str(store)], input="n\n")
    assert kept.exit_code == 1
    assert (store / "caption-en" / "1").is_dir()
    assert run(store, "remove", "caption-en", "1", "--yes").exit_code == 0
    assert not (store / "caption-en").exists()  # no empty folder
    assert "has no caption-de;" in run(store, "remove", "caption-de").output
    assert "has no caption-en/1" in run(store, "remove", "caption-en", "1", "--yes").output


def test_remove_keeps_the_folder_of_other_versions(store: Path) -> None:
    model = store / "caption-en"
    shutil.copytree(model / "1", model / "2")
    model.joinpath("default.json").write_text('{"version": 1}')
    assert run(store, "remove", "caption-en/2", "--yes").exit_code == 0
    assert {path.name for path in model.iterdir()} == {"1", "default.json"}
    assert run(store, "remove", "caption-en", "1", "--yes").exit_code == 0
    assert not model.exists()


@pytest.mark.parametrize("command", [("list",), ("show", "lm-en"), ("verify",), ("serve",)], ids=" ".join)
def test_without_a_store_a_command_says_how_to_get_models(command: tuple[str, ...], tmp_path: Path) -> None:
    ran = run(tmp_path / "missing", *command)
    assert ran.exit_code == 2
    assert "unroll pull" in ran.output
