"""Imports by the command, and questions to a service of what it imported."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner

from app.cli.main import main
from tests.service.serving import serving


def import_into(name: str, store: Path, checkpoints: Sequence[Path], options: Sequence[str]) -> None:
    """A version in the store, with the usual values of what the files and the options do not say."""
    arguments = ["import", "--name", name.replace("_", "-"), "--store", str(store), "--usual", *options]
    for checkpoint in checkpoints:
        arguments += ["--checkpoint", str(checkpoint)]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, f"{name}: {ran.output}"


@contextmanager
def service_of(store: Path) -> Iterator[httpx.Client]:
    """A client of a service with all that is in the store."""
    with serving(store, "--engines", "1") as served, httpx.Client(base_url=served.address, timeout=120) as client:
        yield client


def ask(service: httpx.Client, path: str, name: str, inputs: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
    answer = service.post(path, json={"inputs": inputs, "model": name.replace("_", "-"), **options})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def both_ways(service: httpx.Client, path: str, name: str, inputs: Sequence[Any], **options: Any) -> Any:
    """For each input the answer to it alone and the answer in a batch."""
    together = ask(service, path, name, inputs, **options)
    alone = [ask(service, path, name, [one], **options)[0] for one in inputs]
    return zip(alone, together, strict=True)
