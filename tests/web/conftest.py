"""A real browser, and a visit to the server that records the requests and errors of the page."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WAIT_MILLISECONDS = 10_000
expect.set_options(timeout=WAIT_MILLISECONDS)


class Visit:
    """A page in a browser context of its own."""

    def __init__(self, browser: Browser, server: str, **context: Any) -> None:
        self.server = server
        self._context = browser.new_context(**({"locale": "en-US"} | context))
        self._context.set_default_timeout(WAIT_MILLISECONDS)
        self.page: Page = self._context.new_page()
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("request", self._note_request)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> Page:
        self.page.goto(self.server + path)
        return self.page

    def close(self) -> None:
        self._context.close()

    def check(self) -> None:
        """Assert that no request went to another host, and that the page had no error."""
        assert self.elsewhere == []
        assert self.complaints == []

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.server}/", f"blob:{self.server}/", "data:")):
            self.elsewhere.append(request.url)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for a module: while it runs, no other test in this thread can run an event loop."""
    path = "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: neither /usr/bin/chromium nor `chromium` on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, server: str) -> Iterator[Visit]:
    """A visit with an English browser, whose requests go only to the server of the test."""
    visit = Visit(browser, server)
    yield visit
    visit.close()
    assert visit.elsewhere == []


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A PNG file whose name needs quoting in a shell."""
    path = tmp_path / "it's; a, picture.png"
    Image.new("RGB", (90, 60), "orange").save(path)
    return path
