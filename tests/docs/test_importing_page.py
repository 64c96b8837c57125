"""docs/importing.md and the README: each import and export prints what the page shows."""

import re
from pathlib import Path

import pytest

from tests.docs.importing_page import (
    FILES,
    PAGES,
    SAVING,
    a_folder_with_the_files,
    blocks,
    commands,
    saving,
    transcript,
)

_NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
SHOWN = [(page, number) for page in PAGES for number in range(len(blocks(page)))]


@pytest.fixture(scope="module")
def printed() -> dict[tuple[Path, int], str]:
    """What the commands of each transcript print, those of a page in one folder."""
    now: dict[tuple[Path, int], str] = {}
    for page, place in PAGES.items():
        with a_folder_with_the_files(place):
            now |= {(page, number): transcript(block) for number, block in enumerate(blocks(page))}
    return now


@pytest.mark.parametrize(("page", "number"), SHOWN, ids=[f"{page.stem}-{number}" for page, number in SHOWN])
def test_a_transcript(page: Path, number: int, printed: dict[tuple[Path, int], str]) -> None:
    _same(printed[page, number], blocks(page)[number])


def test_a_training_script() -> None:
    page = next(iter(PAGES))
    ((code, shown),) = SAVING.findall(page.read_text(encoding="utf8"))
    with a_folder_with_the_files(PAGES[page]):
        _same(saving(code), shown)


def _same(now: str, shown: str) -> None:
    assert _NUMBER.sub("NUMBER", now) == _NUMBER.sub("NUMBER", shown)
    numbers = [float(number) for number in _NUMBER.findall(now)]
    assert numbers == pytest.approx([float(number) for number in _NUMBER.findall(shown)], rel=1e-3, abs=1e-5)


def test_each_file_is_used() -> None:
    text = " ".join(command for page in PAGES for block in blocks(page) for command in commands(block))
    assert [file.name for file in FILES.iterdir() if file.name not in text] == []
