"""Run in clients/python: `python -m generate [--check]`."""

import subprocess
import sys
from pathlib import Path

from generate.options import options_module
from generate.synchronous import synchronous

PACKAGE = Path(__file__).parents[1] / "unroll_client"
OPENAPI = Path(__file__).parents[3] / "docs" / "openapi.json"


def generated() -> dict[Path, str]:
    """The content of each generated file."""
    sources = sorted(PACKAGE.joinpath("_async").glob("*.py"))
    files = {PACKAGE / "_sync" / path.name: synchronous(path.read_text(encoding="utf8")) for path in sources}
    files[PACKAGE / "options.py"] = options_module(OPENAPI)
    return {path: _formatted(path, content) for path, content in files.items()}


def _formatted(path: Path, content: str) -> str:
    """As `make format` writes it: names shorter than their asynchronous twins move imports and line ends."""
    for command in (["check", "--select", "I", "--fix"], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", "--stdin-filename", str(path), "-"]
        content = subprocess.run(ruff, input=content, check=True, capture_output=True, encoding="utf8").stdout
    return content


def main() -> None:
    stale = {
        path: content
        for path, content in generated().items()
        if not path.exists() or path.read_text(encoding="utf8") != content
    }
    if "--check" not in sys.argv:
        for path, content in stale.items():
            path.write_text(content, encoding="utf8")
    elif stale:
        sys.exit(f"stale: {', '.join(path.name for path in stale)}; run `make client`")


if __name__ == "__main__":
    main()
