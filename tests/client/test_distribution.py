"""The distribution unroll-client, installed alone, calls a real service."""

import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import unroll_client

SOURCE = Path(unroll_client.__file__).parents[1]
CODE = """
import sys
from unroll_client import Unroll
with Unroll(sys.argv[1]) as client:
    print(client.sentiment("a good film").label, client.stream_translate("save the file").result().text)
"""


@pytest.mark.slow
def test_the_wheel_works_with_what_it_declares(server: str, tmp_path: Path) -> None:
    copied = tmp_path / "source"
    shutil.copytree(SOURCE, copied, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    build = ["wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(tmp_path), str(copied)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, timeout=100)
    listed = subprocess.run([python, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True)
    names = {line.partition("==")[0] for line in listed.stdout.split()}
    assert {"unroll-client", "httpx"} <= names
    assert not names & {"unroll-serve", "pydantic", "httpx-sse", "fastapi", "numpy", "torch"}
    ran = subprocess.run([python, "-c", CODE, server], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.split()) > 1


def test_the_service_installs_what_the_client_needs() -> None:
    """The service's distribution takes the same folder, so it has to declare the same requirements."""
    client, service = (
        tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf8"))["project"]["dependencies"]
        for folder in (SOURCE, SOURCE.parents[1])
    )
    assert set(client) <= set(service)
