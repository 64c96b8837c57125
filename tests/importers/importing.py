"""Runs `unroll import` on files that a test makes, and answers with the version that it wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from click.testing import CliRunner, Result
from torch import nn

from app.cli.in_process import answers
from app.cli.main import main


def run_import(folder: Path, *arguments: str, name: str = "mine", typed: str | None = None) -> Result:
    """The command with a store in the folder; `typed` is what a user types at its prompts."""
    return CliRunner().invoke(
        main, ["import", "--name", name, "--store", str(folder / "store"), *arguments], input=typed
    )


def saved(folder: Path, content: Any, name: str = "model.pt") -> str:
    """The argument for a file with this content; a module is saved as its state dict."""
    file = folder / name
    torch.save(content.state_dict() if isinstance(content, nn.Module) else content, file)
    return f"--checkpoint={file}"


def imported(folder: Path, *arguments: str, name: str = "mine") -> str:
    """What an import that must succeed prints."""
    ran = run_import(folder, *arguments, name=name)
    assert ran.exit_code == 0, ran.output
    return ran.output


def asked(folder: Path, *arguments: str) -> str:
    """What an import that must ask prints."""
    ran = run_import(folder, *arguments)
    assert ran.exit_code == 1, ran.output
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.output


def answered(folder: Path, inputs: Sequence[Any], *, name: str = "mine", version: int = 1) -> list[Mapping[str, Any]]:
    """The results of the version that an import wrote."""
    (results,) = answers([folder / "store" / name / str(version)], inputs)
    return list(results)
