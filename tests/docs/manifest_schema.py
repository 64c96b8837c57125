"""`docs/manifest.schema.json` from the manifest's own classes: `python -m tests.docs.manifest_schema`."""

import json
from pathlib import Path

from app.store.manifest import Manifest

PATH = Path(__file__).parents[2] / "docs" / "manifest.schema.json"


def manifest_schema() -> str:
    """The file's content."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Manifest.model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(manifest_schema(), encoding="utf8")
