"""Texts use plain words: phrases that must be decoded are banned (CONTRIBUTING.md says what to write instead)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED = {
    "is told": r"\b(?:is|are|was|were|be|been|being) told\b",
    "tells of": r"\btells? of\b",
    "is said": r"\b(?:is|are|was|were|be) said\b",
    "is asked for": r"\b(?:is|are|was|were|be) asked (?:for|of|about)\b",
    "is to be": r"\b(?:is|are|has|have) to be (?:told|asked|said|known|had)\b",
    "whoever": r"\bwhoever\b",
    "nobody": r"\b(?:nobody|somebody|anybody|everybody)\b",
    "so many": r"\bso many (?!times)",
    "go on": r"\b(?:go|goes|going|gone|went) on (?:with|from|where|behind|as)\b",
    "as far as": r"\bas far as (?:it|they|that|there|engines?|can|is|are)\b",
    "let in": r"\b(?:is|are|was|were|be) let in\b|\blet in and\b",
    "let go of": r"\blet(?:s|ting)? go of\b",
    "that there is": r"(?<!\bso )\bthat there (?:is|are|was|were)\b",
    "of which there": r"\bof which there\b",
    "where there is none": r"\bwhere there (?:is|are) none\b",
    "a docstring that begins with Of or Those": r"(?-i:(?:\"\"\"|description=\"|/\*\* )(?:Of|Those|That of) )",
    "a sentence that begins with What is": r"(?-i:(?:[.;:] |^- |^|\"\"\"|description=\"|/\*\* |// |# )What )"
    r"(?:is|are|was|were|has|have|had|does|can|comes?|came|goes|went)\b(?!.*\?)",
}
NAMES = r"^ *class \w*(?:Manager|Handler|Helper|Util|Processor|Wrapper|Told|Spoken|(?<!Not)Found|Wanted|Board)\b"
PLACES = ("app", "clients", "docs")
PAGES = ("README.md", "CONTRIBUTING.md")
SUFFIXES = {".py", ".md", ".js", ".html", ".toml"}
SKIPPED = (
    ROOT / "docs" / "adr",  # history
    ROOT / "docs" / "models.md",  # quotes answers of models
    ROOT / "app" / "web" / "static" / "vendor",
)


def texts() -> list[Path]:
    files = [path for place in PLACES for path in sorted((ROOT / place).rglob("*"))]
    files += [ROOT / page for page in PAGES]
    return [
        path for path in files if path.suffix in SUFFIXES and not any(path.is_relative_to(place) for place in SKIPPED)
    ]


def banned_phrases(text: str) -> list[str]:
    """Each banned phrase of a text with its line number."""
    return [
        f"{number}: {match[0].strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in BANNED.values()
        for match in re.finditer(pattern, line, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_phrases(path: Path) -> None:
    assert banned_phrases(path.read_text(encoding="utf8")) == []


def test_no_banned_names_of_classes() -> None:
    sources = [path for path in texts() if path.suffix == ".py"]
    assert [path.name for path in sources if re.search(NAMES, path.read_text(encoding="utf8"), re.MULTILINE)] == []


@pytest.mark.parametrize(
    "text",
    [
        "Seconds for which browsers are told to come over TLS",
        "whoever is connected is answered",
        "No so many tokens in a row",
        "an empty one is gone on with from its beginning",
        "Cell steps, as far as they can be told before",
    ],
)
def test_phrases_of_before_are_found(text: str) -> None:
    assert banned_phrases(text)
