"""The Python examples of the API pages run as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_store import FORWARD

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "\n".join(page.read_text(encoding="utf8") for page in sorted(DOCS.glob("api/*.md")))
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block).split("\n", 1)[0])
def test_python_example_runs(block: str, server: str, tmp_path: Path) -> None:
    Image.new("RGB", (80, 60), "orange").save(tmp_path / "first.jpg")
    assert "127.0.0.1:8000" in block
    if "unroll_client" in block:
        generate(tmp_path)
    code = block.replace("127.0.0.1:8000", server.removeprefix("http://"))
    for included, small in FORWARD.items():
        code = code.replace(included, small)
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def generate(folder: Path) -> None:
    """Run the command of the page."""
    (command,) = re.findall(r"^openapi-python-client (.*)$", TEXT, re.MULTILINE)
    arguments = command.replace("docs/openapi.json", str(DOCS / "openapi.json")).split()
    subprocess.run([sys.executable, "-m", "openapi_python_client", *arguments], cwd=folder, check=True, timeout=60)


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 4
