"""The model card of an imported version: its origin, and what is not measured yet."""

from app.importers.layout import Layout
from app.importers.options import OptionValues
from app.store.manifest import Manifest


def card_of(manifest: Manifest, layout: Layout, options: OptionValues) -> str:
    """The whole `MODEL_CARD.md`."""
    values = "\n".join(f"| {name} | {value} |" for name, value in options.given.items())
    weights = "\n".join(f"| {name} | {entry.sha256} |" for name, entry in manifest.files.items())
    return f"""# {manifest.name}, version {manifest.version}

Imported by `unroll import` from a checkpoint of {layout.source} (layout `{layout.name}`).

| | |
|---|---|
| task | {manifest.task} |
| languages | {", ".join(manifest.languages) or "unknown"} |
| architecture | {manifest.architecture.describe()} |
| parameters | {manifest.parameters:,} |
| size on disk | {manifest.bytes / 1e6:.1f} MB, in the number types of the checkpoint; computed in float32 |
| licence | {manifest.licence} |

## Options

Set during the import, because the checkpoint does not contain them. A wrong value gives wrong answers.

| option | value |
|---|---|
{values}

## Quality

Not measured. It answers like the original code.

## Data and limits

Unknown. Write here what data it was trained on, what it is for, and where it fails.

## Files

| file | SHA-256 |
|---|---|
{weights}
"""
