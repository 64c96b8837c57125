"""`make serve` and `make test` install what they need, each once: with a Python that notes what pip installs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTES = f"""#!{sys.executable}
import os, sys
from pathlib import Path
here = Path(__file__).resolve().parent
with (here / "asked").open("a") as file:
    print(*sys.argv[1:], file=file)
if sys.argv[1:3] == ["-m", "venv"]:  # the environment's own Python is another copy
    (folder := Path(sys.argv[3]) / "bin").mkdir(parents=True)
    (folder / "python").symlink_to(Path(__file__).resolve())
    (folder / "unroll").symlink_to("/bin/true")
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_serving_installs_less_than_testing(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "setup.py", "Makefile", "app/models/serving/native"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target)
        else:
            shutil.copy(ROOT / name, target)
    python = tmp_path / "noting-python"
    python.write_text(NOTES)
    python.chmod(0o755)

    def installed(target: str) -> list[str]:
        """The last argument of each call of pip."""
        (tmp_path / "asked").unlink(missing_ok=True)
        command = ["make", f"PYTHON={python}", "VENV=environment", target]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=os.environ | {"MAKEFLAGS": ""})
        asked = (tmp_path / "asked").read_text().splitlines() if (tmp_path / "asked").exists() else []
        return [line.split()[-1] for line in asked if line.startswith("-m pip install")]

    torch = "torch>=2.11,<2.14"
    assert installed("serve") == [torch, "."]
    assert installed("serve") == []
    assert installed("test") == [".[training,benchmarks,dev]"]
    assert installed("test") == installed("serve") == []
    os.utime(tmp_path / "pyproject.toml")
    assert installed("test") == [torch, ".", ".[training,benchmarks,dev]"]
