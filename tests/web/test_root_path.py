"""The pages at a path prefix, behind a proxy that removes it and one that keeps it."""

import pytest
from playwright.sync_api import Page, expect

from tests.api.operations import BY_NAME
from tests.api.test_root_path import prefixed
from tests.web.conftest import Visit
from tests.web.parts import button, job
from tests.web.test_docs import block, examples, execute

__all__ = ["prefixed"]  # a fixture
pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["", pytest.param("/", marks=pytest.mark.slow)])
def test_the_page_and_its_requests(page: Page, prefixed: str, path: str) -> None:
    visit = Visit(page, prefixed)
    visit.go(path)
    section = job(visit, "Sentiment")
    button(section, "Analyse").click()
    expect(section.locator(".result")).to_have_count(2)
    caption = job(visit, "Caption")
    button(caption, "Use the example image").click()
    expect(caption.locator(".model")).to_have_text("caption-en/1")
    visit.elsewhere = [url for url in visit.elsewhere if url != prefixed]  # the page itself, without a slash
    visit.check()
    visit.leave()


@pytest.mark.parametrize(
    "prefixed", [pytest.param(True, marks=pytest.mark.slow), False], ids=["strips", "keeps"], indirect=True
)
def test_execute(page: Page, prefixed: str) -> None:
    visit = Visit(page, prefixed)
    visit.go("/")
    visit.page.get_by_role("link", name="API reference").first.click()
    expect(visit.page.locator(".opblock-tag").first).to_be_visible()
    assert visit.page.url.partition("#")[0] == f"{prefixed}/docs"  # Swagger UI adds the open operation
    for name in ("sentiment", "list_models", "health"):
        opened = block(visit, BY_NAME[name])
        next(examples(opened, BY_NAME[name]))
        execute(visit, BY_NAME[name], opened)
    visit.check()
    visit.leave()
