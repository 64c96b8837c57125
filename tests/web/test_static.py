"""The files of the page: all of them are installed, and none breaks the policy of the page."""

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

from app.api.pages import WEB_ASSETS

OURS = [path for path in WEB_ASSETS.rglob("*") if path.is_file() and "vendor" not in path.parts]


def test_a_wheel_has_all_files() -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["app.web"]
    packed = {path for pattern in patterns for path in WEB_ASSETS.parent.glob(pattern) if path.is_file()}
    assert packed == {path for path in WEB_ASSETS.rglob("*") if path.is_file()}
    assert (WEB_ASSETS / "vendor/uplot/LICENSE").exists()


def test_nothing_is_inline() -> None:
    found: list[str] = []

    class Inline(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            names = dict(attrs)
            found.extend(name for name in names if name == "style" or name.startswith("on"))
            if tag == "style" or (tag == "script" and not names.get("src")):
                found.append(tag)

    Inline().feed((WEB_ASSETS / "index.html").read_text())
    assert found == []


def test_modules_are_short_and_make_no_markup_of_text() -> None:
    for path in OURS:
        if path.suffix in {".js", ".css", ".html"}:
            text = path.read_text()
            assert text.count("\n") <= 300, path
            assert not re.search(
                r"innerHTML|insertAdjacentHTML|document\.write|https?://(?!www\.w3\.org/2000/svg)", text
            ), path
