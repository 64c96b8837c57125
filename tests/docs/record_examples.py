"""Examples of the OpenAPI document, recorded from real services: `python -m tests.docs.record_examples`."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.api.openapi.examples import ANSWERS_FILE, PROBLEMS_FILE
from app.engine.config import EngineConfig
from app.main import create_app
from app.settings import Settings
from tests.docs.provoked_problems import record_problems
from tests.docs.services import client_of_ready, running_engine
from tests.docs.shipped_answers import STORE, record_answers


def main() -> None:
    """Write both files."""
    os.environ["UNROLL_LOG_REQUESTS"] = "false"
    with TemporaryDirectory() as folder:
        _write(PROBLEMS_FILE, record_problems(Path(folder)))
        endpoint = f"ipc://{folder}/shipped"
        config = EngineConfig(endpoint=endpoint, store=str(STORE), device="cpu", precision="float32")
        with (
            running_engine(config),  # in float32: the same numbers on every processor
            client_of_ready(create_app(Settings(store=str(STORE)), engines=[endpoint])) as http,
        ):
            _write(ANSWERS_FILE, record_answers(http))


def _write(path: Path, recorded: dict[str, dict[str, Any]]) -> None:
    path.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
