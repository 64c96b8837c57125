"""The Korean pages have the code, names, links and numbers of the English ones, so that none falls behind."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KOREAN = ROOT / "docs" / "ko"
PAIRS = [(ROOT / "README.md", ROOT / "README.ko.md")]
PAIRS += [(ROOT / "docs" / page.name, page) for page in sorted(KOREAN.glob("*.md"))]
TRANSLATED = {korean.resolve(): english.resolve() for english, korean in PAIRS}
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
each_page = pytest.mark.parametrize(("english", "korean"), PAIRS, ids=[korean.stem for _, korean in PAIRS])


def read(page: Path) -> str:
    return page.read_text(encoding="utf8")


def code(page: Path) -> list[str]:
    """The blocks of code, without the comments of commands."""
    return [re.sub(r" +# .*", "", block) for block in _FENCE.findall(read(page))]


def names(page: Path) -> set[str]:
    """The names in the text, such as `max_windows`."""
    return set(re.findall(r"`([^`\n]+)`", _FENCE.sub("", read(page))))


def links(page: Path) -> set[str]:
    """Where links lead, without those between the languages. A page in both languages counts as one, without its
    headings."""
    found = set()
    for link in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page.resolve()
        place = TRANSLATED.get(target, target)
        is_translated = place in TRANSLATED.values()
        found.add(str(place.relative_to(ROOT)) + (f"#{heading}" if heading and not is_translated else ""))
    return found - {str(english.relative_to(ROOT)) for english, _ in PAIRS}


def numbers(page: Path) -> list[str]:
    """The numbers in rows of tables that a program wrote."""
    written = re.findall(r"^<!-- \w+ -->$(.*?)^<!-- /\w+ -->$", read(page), re.DOTALL | re.MULTILINE)
    return re.findall(r"\d[\d.e-]*", "".join(written))


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+(?= )", _FENCE.sub("", read(page)), re.MULTILINE)


@each_page
def test_it_says_the_same(english: Path, korean: Path) -> None:
    assert code(korean) == code(english)
    assert names(korean) == names(english)
    assert links(korean) == links(english)
    assert numbers(korean) == numbers(english)
    assert headings(korean) == headings(english)
    rows = [len(re.findall(r"^\|", read(page), re.MULTILINE)) for page in (english, korean)]
    assert rows[0] == rows[1]


@each_page
def test_it_is_korean(english: Path, korean: Path) -> None:
    text = "".join(re.findall(r"[^\W\d_]", _FENCE.sub("", re.sub(r"`[^`\n]+`|\]\([^)]*\)", "", read(korean)))))
    hangul = re.findall(r"[가-힣]", text)
    assert len(hangul) > len(text) / 3


def test_there_are_three_pages_and_the_index_names_them() -> None:
    assert len(PAIRS) >= 4
    index = read(ROOT / "docs" / "README.md")
    assert [page.name for page in KOREAN.glob("*.md") if f"(ko/{page.name})" not in index] == []
