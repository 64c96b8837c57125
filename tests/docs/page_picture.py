"""`python -m tests.docs.page_picture` takes docs/page.png: the page with the included models, a text and its memory."""

import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.conftest import serving_store
from tests.web.conftest import ARGUMENTS, chromium, new_page

ROOT = Path(__file__).parents[2]
SIZE = {"width": 1240, "height": 1420}
TEXT = "It begins like a masterpiece, and then nothing happens."


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="unroll-picture-") as folder,
        serving_store(ROOT / "model_store", Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = new_page(browser, viewport=SIZE, color_scheme="light")
        page.goto(address)
        section = page.get_by_role("region", name="Sentiment", exact=True)
        section.get_by_role("textbox").fill(TEXT)
        section.get_by_role("switch").check()
        section.get_by_role("button", name="Analyse", exact=True).click()
        expect(section.locator(".memory")).to_be_visible()
        section.locator(".token", has_text="masterpiece").first.click()
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=ROOT / "docs" / "page.png")
        browser.close()


if __name__ == "__main__":
    main()
