"""The parts of `docs/` that are generated from code, and the list of `unroll layouts`: `python -m tests.docs.generated`
writes them.

A page contains a generated part between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app.cli.layouts import LISTED
from app.importers.layouts import LAYOUTS
from app.settings import Settings
from app.store.manifest import Manifest
from tests.docs.metrics import sampled_metrics

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = DOCS / "manifest.schema.json"
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def manifest_schema() -> str:
    """The JSON schema of a manifest."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Manifest.model_json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def listed_layouts() -> str:
    """A line for each layout of `unroll import`."""
    return "".join(
        f"{layout.name}\t{layout.source}\tvocabularies: {', '.join(layout.vocabularies)}\n"
        for layout in LAYOUTS.values()
    )


def settings_table() -> str:
    rows = (
        [
            f"`{name}`",
            f"`UNROLL_{name.upper()}`",
            f"`--{name.replace('_', '-')}`",
            f"`{field.default}`",
            _escaped(field.description or ""),
        ]
        for name, field in Settings.model_fields.items()
    )
    return _table(("name", "environment variable", "option", "default", "meaning"), rows)


def metrics_table() -> str:
    return _table(("name", "type", "labels", "meaning"), _metrics())


def _metrics() -> Iterator[list[str]]:
    for family in text_string_to_metric_families(sampled_metrics().render().decode()):
        if family.name.endswith("_created"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        yield [f"`{name}`", family.type, ", ".join(f"`{label}`" for label in labels), family.documentation]


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterator[list[str]] | Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PARTS: dict[str, Callable[[], str]] = {"settings": settings_table, "metrics": metrics_table}


def current(page: str) -> str:
    """The page with its generated parts made from today's code."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}{part[3]}", page)


if __name__ == "__main__":
    SCHEMA.write_text(manifest_schema(), encoding="utf8")
    LISTED.write_text(listed_layouts(), encoding="utf8")
    for path in DOCS.rglob("*.md"):
        path.write_text(current(path.read_text(encoding="utf8")), encoding="utf8")
