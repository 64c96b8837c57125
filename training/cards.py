"""Model cards: the prose of a recipe, the facts and numbers of a manifest."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from app.store.confidence import Confidence, Curve
from app.store.manifest import Manifest
from app.store.tagger import Tagger
from app.store.training_facts import Quality
from training.curves import CURVE


class CardText(NamedTuple):
    """The prose of a recipe about data, limits and terms, in Markdown."""

    data: str
    limits: str
    terms: str


def quality_table(quality: Sequence[Quality]) -> str:
    """The measured numbers as a Markdown table."""
    rows = [
        f"| {item.measure} | {item.value:.4g} | {item.data} | {item.measured} | `{item.command}` |" for item in quality
    ]
    return "\n".join(["| measure | value | on | measured | command |", "|---|---|---|---|---|", *rows])


def card_of(manifest: Manifest, text: CardText) -> str:
    """The whole `MODEL_CARD.md`."""
    training = manifest.training
    recipe = f"`{training.recipe}`" if training else "none"
    minutes = f"about {_count(training.minutes, 'minute')} on one CPU core" if training else "none"
    decoding = (
        f"\nDecoding: greedy, at most {manifest.decoding.max_tokens} tokens by default.\n" if manifest.decoding else ""
    )
    curve = f"\n![Loss and dev score over the epochs]({CURVE})\n" if CURVE in manifest.files else ""
    return f"""# {manifest.name}, version {manifest.version}

{manifest.description}
{_domain_part(manifest)}
| | |
|---|---|
| task | {manifest.task} |
{_source_rows(manifest)}| architecture | {manifest.architecture.describe()} |
| parameters | {manifest.parameters:,} |
| size on disk | {manifest.bytes / 1e6:.1f} MB, half precision; computed in float32 |
| recipe | {recipe} |
| training time | {minutes} |
{decoding}{curve}
## Quality

{quality_table(manifest.quality) if manifest.quality else "Not measured yet."}

The measurements are of these very files, by the command in the table.

{_confidence_part(manifest.confidence)}## Data

{text.data}

## Limits

{text.limits}

## Terms

{text.terms}
"""


def _domain_part(manifest: Manifest) -> str:
    """What the model is for."""
    texts = (manifest.domain or {}).values()
    return "".join(f"\n{text}\n" for text in texts)


def _confidence_part(confidence: Confidence | None) -> str:
    """The curves of a calibrated model."""
    if confidence is None:
        return ""
    curves = [("greedy", confidence.greedy), ("beam search", confidence.searched)]
    tables = "\n\n".join(_curve_table(way, curve) for way, curve in curves if curve is not None)
    text = f"""The `confidence` of an answer is the share of answers with its score that were acceptable in a test, on a
        straight line between the points below. The score is the mean log-probability of the tokens, the end token
        included. Acceptable: {confidence.acceptable} Below {confidence.unsure_below:g} an answer is `unsure`.
        `{confidence.command}` fits the curves by isotonic regression ({confidence.measured})."""
    return f"## Confidence\n\n{fill(' '.join(text.split()), 110, break_on_hyphens=False)}\n\n{tables}\n\n"


def _curve_table(way: str, curve: Curve) -> str:
    rows = [f"| {score:.2f} | {share:.2f} |" for score, share in curve.points]
    head = (
        f"Answers of {way}: {curve.answers} fit the curve; its expected calibration error is {curve.error:.3f} on "
        f"{curve.held_out} others."
    )
    return "\n".join([head, "", "| score | confidence |", "|---|---|", *rows])


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _source_rows(manifest: Manifest) -> str:
    """Rows of the table about what the network reads, beside images."""
    rows = []
    if manifest.languages:
        rows.append(("languages", ", ".join(manifest.languages)))
    if (series := manifest.series) is not None:
        steps = "any length" if series.window is None else f"{series.window} steps"
        interval = f", {series.interval} each" if series.interval else ""
        rows.append(("reads", f"{steps}{interval}: {', '.join(column.name for column in series.features)}"))
        if series.targets:
            rows.append(("answers", ", ".join(column.name for column in series.targets)))
    if manifest.frames is not None and manifest.image is not None:
        rows.append(("reads", f"{manifest.frames} frames of {manifest.image.size} x {manifest.image.size}"))
    if isinstance(manifest.architecture, Tagger) or (manifest.labels and manifest.source != "text"):
        rows.append(("labels", ", ".join(manifest.labels)))
    return "".join(f"| {name} | {words} |\n" for name, words in rows)


def write_card(folder: Path, manifest: Manifest, text: CardText) -> None:
    """Write `MODEL_CARD.md` beside the manifest."""
    folder.joinpath("MODEL_CARD.md").write_text(card_of(manifest, text), encoding="utf8")
