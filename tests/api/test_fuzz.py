"""Schemathesis sends valid and invalid requests to every operation of the OpenAPI document: no response is a 5xx, and
all are in the document. `make fuzz` sets how long it runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.operations import ADMIN_KEY, DOCUMENT, OPERATIONS

CONFIG = Path(__file__).with_name("schemathesis.toml")
ROOT = Path(__file__).parents[2]
SECONDS = os.environ.get("UNROLL_FUZZ_SECONDS")
BOUND = ["--phases", "examples,coverage,fuzzing", "--max-examples", "5"] if SECONDS is None else ["--max-time", SECONDS]


@pytest.mark.slow  # other files test examples and known mistakes
@pytest.mark.timeout(0 if SECONDS else 120)
def test_answers_are_those_of_the_document(administered: str, tmp_path: Path) -> None:
    document, report = tmp_path / "openapi.json", tmp_path / "report.json"
    document.write_text(json.dumps(DOCUMENT))
    asked = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run", document),
            *("--url", administered, "--header", f"Authorization: Bearer {ADMIN_KEY}"),
            *("--report", "json", "--report-json-path", report),
            *BOUND,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,  # it writes its cache here
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.api.schemathesis_lines", "PYTHONPATH": str(ROOT)},
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    if SECONDS:
        print(asked.stdout)
    tested = json.loads(report.read_text())
    assert tested["complete"]
    assert tested["operations"]["tested"] == len(OPERATIONS)
