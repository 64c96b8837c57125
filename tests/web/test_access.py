"""Keys in a real browser: Swagger UI's Authorize, and the page that asks for one; without another host."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, expect

from app.api.keys import Key, hash_of, new_token
from app.main import create_app
from app.settings import Settings
from tests.api.operations import BY_NAME
from tests.conftest import serving, wait_until_ready
from tests.web.conftest import Visit
from tests.web.test_docs import authorize, block, execute

pytestmark = pytest.mark.browser
TOKEN = new_token()


@pytest.fixture(scope="module")
def keyed(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    key = Key(name="visitor", hash=hash_of(TOKEN.encode()))
    settings = Settings.model_validate({"store": tiny_store, "api_keys": f'{{"keys": [{key.model_dump_json()}]}}'})
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture
def guest(browser: Browser, keyed: str) -> Iterator[Visit]:
    visit = Visit(browser, keyed)
    yield visit
    visit.close()
    assert visit.elsewhere == []


@pytest.mark.parametrize("scheme", ["Bearer", pytest.param("X-API-Key", marks=pytest.mark.slow)])
def test_swagger_ui_sends_the_key_that_was_entered(guest: Visit, scheme: str) -> None:
    guest.go("/docs")
    authorize(guest, scheme, TOKEN)
    execute(guest, BY_NAME["sentiment"], block(guest, BY_NAME["sentiment"]))
    guest.check()


def test_the_page_asks_for_a_key_once(guest: Visit) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept(TOKEN)

    guest.page.on("dialog", answer)
    guest.go("/")
    section = guest.page.get_by_role("region", name="Sentiment", exact=True)
    section.get_by_role("button", name="Analyse", exact=True).click()
    expect(section.locator(".result")).to_have_count(2)
    guest.page.reload()
    section.get_by_role("button", name="Analyse", exact=True).click()
    expect(section.locator(".result")).to_have_count(2)
    assert asked == ["This service asks for a key. Your key:"]
    assert all("401" in complaint for complaint in guest.complaints)  # the browser's own note of a refusal


def test_who_gives_no_key_is_told_so(guest: Visit) -> None:
    guest.page.on("dialog", lambda dialog: dialog.dismiss())
    guest.go("/")
    section = guest.page.get_by_role("region", name="Sentiment", exact=True)
    section.get_by_role("button", name="Analyse", exact=True).click()
    expect(section.locator(".error")).to_contain_text("The key is missing or wrong")
