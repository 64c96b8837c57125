"""axe-core on the page: names, roles, headings and contrast with the answer of every task, in each colour scheme."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.tiny_store import all_drafts
from tests.web.conftest import Visit

pytestmark = pytest.mark.browser
SCHEMES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
    "narrow": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}, "has_touch": True},
}


def answer_all(page: Page) -> None:
    """Run every task with its memory, and unfold what is folded."""
    expect(page.locator("#models article")).to_have_count(len(all_drafts()))
    expect(page.locator(".film canvas")).to_have_count(6)  # the frames of the example clip
    for switch in page.get_by_role("switch").all():
        switch.check()
    page.locator("#compare-text").fill("The plot makes no sense, but I smiled.")
    runs = page.locator("form .run [type=submit]").filter(visible=True)
    for run in runs.all():
        run.click()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".problem")).to_have_count(0)
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """The rules that the page breaks, each with the parts that break it."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in found]


@pytest.mark.parametrize(
    ("scheme", "locale"), [("light", "en-US"), ("dark", "ko-KR"), ("forced", "en-US"), ("narrow", "ko-KR")]
)
def test_axe_finds_nothing(browser: Browser, server: str, scheme: str, locale: str) -> None:
    visit = Visit.apart(browser, server, locale=locale, **SCHEMES[scheme])
    page = visit.go("/")
    assert violations(page) == []  # before anything is answered
    answer_all(page)
    assert violations(page) == []
    visit.check()
    visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark", "forced"])
@pytest.mark.slow
def test_axe_finds_nothing_in_problems(browser: Browser, server: str, scheme: str) -> None:
    visit = Visit.apart(browser, server, locale="ko-KR", **SCHEMES[scheme])
    page = visit.go("/")
    expect(page.locator("#models article")).to_have_count(len(all_drafts()))
    page.locator("#sentiment-text").fill("хороший фильм")
    page.locator("#sentiment .run [type=submit]").click()
    page.locator("#translate-text").fill(" ")
    page.locator("#translate .run [type=submit]").click()
    expect(page.locator(".problem")).to_have_count(2)
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert violations(page) == []
    visit.close()
