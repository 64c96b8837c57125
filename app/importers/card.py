"""The model card of an imported version: where it comes from, and what nobody has measured yet."""

from app.importers.layout import Answers, Layout
from app.store.manifest import Manifest

CARD = "MODEL_CARD.md"


def card_of(manifest: Manifest, layout: Layout, answers: Answers) -> str:
    """The whole `MODEL_CARD.md`."""
    said = "\n".join(f"| {name} | {value} |" for name, value in answers.given.items())
    weights = "\n".join(f"| {name} | {entry.sha256} |" for name, entry in manifest.files.items())
    return f"""# {manifest.name}, version {manifest.version}

Imported by `unroll import` from a checkpoint of {layout.source} (layout `{layout.name}`).

| | |
|---|---|
| task | {manifest.task} |
| languages | {", ".join(manifest.languages) or "not said"} |
| architecture | {manifest.architecture.describe()} |
| parameters | {manifest.parameters:,} |
| size on disk | {manifest.bytes / 1e6:.1f} MB, in the number types of the checkpoint; computed in float32 |
| licence | {manifest.licence} |

## What the checkpoint did not tell

Said when it was imported; a wrong answer here makes wrong answers there.

| option | value |
|---|---|
{said}

## Quality

Not measured. It answers as the original code does; how good that is, whoever trained it knows.

## Data and limits

Not known. Write here what it was trained on, what it is for, and where it fails.

## Files

| file | SHA-256 |
|---|---|
{weights}
"""
