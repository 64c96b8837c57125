"""A real browser, and a visit to the server that records the requests and errors of the page."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Route, expect, sync_playwright

from tests.web import firefox as firefox_driver

ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WAIT_MILLISECONDS = 100_000
expect.set_options(timeout=WAIT_MILLISECONDS)


class Visit:
    """A server in a page of the browser."""

    def __init__(self, page: Page, server: str) -> None:
        self.server = server
        self.page = page
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        page.on("request", self._note_request)
        page.on("console", self._note_console)
        page.on("pageerror", self._note_error)

    @classmethod
    def apart(cls, browser: Browser, server: str, **context: Any) -> "Visit":
        """In a page with a context of its own; `close` closes it."""
        return cls(new_page(browser, **context), server)

    def go(self, path: str) -> Page:
        self.page.goto(self.server + path)
        return self.page

    def beside_modules(self) -> Page:
        """A picture as the page: it can import the modules of the server, and loads none itself, as "/" does."""
        return self.go("/assets/web/favicon.svg")

    def close(self) -> None:
        self.page.context.close()

    def leave(self) -> None:
        """Leave an empty page for the next visit, without what this one stored, intercepted or was permitted."""
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.evaluate(
            "location.protocol.startsWith('http') && [localStorage, sessionStorage].forEach((o) => o.clear())"
        )
        self.page.context.clear_cookies()
        self.page.context.clear_permissions()
        self.page.goto("about:blank")
        self.page.remove_listener("request", self._note_request)
        self.page.remove_listener("console", self._note_console)
        self.page.remove_listener("pageerror", self._note_error)

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

    def _note_error(self, error: Error) -> None:
        self.complaints.append(str(error))


def new_page(browser: Browser, **context: Any) -> Page:
    """A page with a context of its own, by default in English."""
    page = browser.new_context(**({"locale": "en-US"} | context)).new_page()
    page.context.set_default_timeout(WAIT_MILLISECONDS)
    if browser.browser_type.name == "firefox":
        page.context.route(lambda url: urlsplit(url).path in ("/", "/docs"), _without_policy)
    return page


def _without_policy(route: Route) -> None:
    """A document without its content security policy, which Chromium's tests keep. Playwright evaluates by `eval`,
    which the policy forbids, and `bypass_csp` does nothing in Firefox."""
    response = route.fetch()
    kept = {name: value for name, value in response.headers.items() if name != "content-security-policy"}
    route.fulfill(response=response, headers=kept)


def chromium() -> str | None:
    """The path of Chromium; None if it is not installed."""
    return "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for a module: while it runs, no other test in this thread can run an event loop."""
    path = chromium()
    if path is None:
        pytest.skip("no browser: neither /usr/bin/chromium nor `chromium` on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Firefox of the system, for a module."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        pytest.skip("NO FIREFOX: neither `firefox-esr` nor `firefox` on PATH (apt-get install firefox-esr)")
    script = tmp_path_factory.mktemp("firefox") / "firefox"
    command = shlex.join([sys.executable, firefox_driver.__file__, path])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.firefox.launch(channel="moz-firefox", executable_path=script, timeout=WAIT_MILLISECONDS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    """One page for the visits of a module: a second of work for a new one would be most of a test."""
    return new_page(browser)


@contextmanager
def visiting(page: Page, server: str) -> Iterator[Visit]:
    """A visit to any server with the page of the module."""
    visit = Visit(page, server)
    yield visit
    visit.leave()
    assert visit.elsewhere == []


@pytest.fixture
def visit(page: Page, server: str) -> Iterator[Visit]:
    """A visit with an English browser, whose requests go only to the server of the test."""
    with visiting(page, server) as visit:
        yield visit


@pytest.fixture
def timed(browser: Browser, server: str) -> Iterator[Visit]:
    """A visit with a clock that the test moves; a page keeps such a clock."""
    visit = Visit.apart(browser, server)
    visit.page.clock.install()
    yield visit
    visit.close()
    assert visit.elsewhere == []


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A PNG file whose name needs quoting in a shell."""
    path = tmp_path / "it's; a, picture.png"
    Image.new("RGB", (90, 60), "orange").save(path)
    return path
