"""Keys in a real browser: Swagger UI's Authorize, and the page's dialog that asks for one; without another host."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, expect

from app.api.access.keys import Key, hash_of, new_token
from app.api.access.roles import Role
from app.main import create_app
from app.settings import Settings
from tests.api.operations import BY_NAME
from tests.conftest import serving, wait_until_ready
from tests.web.conftest import Visit
from tests.web.parts import button, job
from tests.web.test_docs import authorize, block, execute

pytestmark = pytest.mark.browser
TOKEN = new_token()
MONITOR = new_token()


@pytest.fixture(scope="module")
def server(tiny_store: Path, engine_endpoint: str) -> Iterator[str]:
    keys = [
        Key(name="visitor", hash=hash_of(TOKEN.encode())),
        Key(name="watcher", hash=hash_of(MONITOR.encode()), role=Role.MONITOR),
    ]
    listed = json.dumps({"keys": [key.model_dump(mode="json") for key in keys]})
    settings = Settings.model_validate({"store": tiny_store, "api_keys": listed})
    with serving(create_app(settings, engines=[engine_endpoint])) as address:
        wait_until_ready(address)
        yield address


@pytest.mark.parametrize("scheme", ["Bearer", pytest.param("X-API-Key", marks=pytest.mark.slow)])
def test_swagger_ui_sends_the_key_that_was_entered(visit: Visit, scheme: str) -> None:
    visit.go("/docs")
    authorize(visit, scheme, TOKEN)
    execute(visit, BY_NAME["sentiment"], block(visit, BY_NAME["sentiment"]))
    visit.check()


def dialog(visit: Visit) -> Locator:
    return visit.page.get_by_role("dialog", name="This service requires a key")


def enter(visit: Visit, key: str) -> None:
    """Enter a key in the dialog, which then closes."""
    field = dialog(visit).get_by_label("Your key")
    expect(field).to_be_focused()
    field.fill(key)
    field.press("Enter")


def analyse(visit: Visit) -> Locator:
    """Press the button of sentiment. Returns the section."""
    section = job(visit, "Sentiment")
    button(section, "Analyse").click()
    return section


def only_refusals(visit: Visit) -> bool:
    """Assert that the page had no errors except the refusals: the browser logs each 401."""
    return all("401" in complaint for complaint in visit.complaints)


def test_the_page_asks_for_a_key_once(visit: Visit) -> None:
    visit.go("/")
    enter(visit, TOKEN)
    expect(visit.page.locator("#readiness")).to_have_text("Ready. Engines: 1 of 1")
    expect(visit.page.locator("#models article").first).to_be_visible()
    expect(analyse(visit).locator(".result")).to_have_count(2)
    visit.page.reload()
    expect(visit.page.locator("#models article").first).to_be_visible()
    expect(analyse(visit).locator(".result")).to_have_count(2)
    expect(dialog(visit)).to_be_hidden()
    assert only_refusals(visit)


def test_who_gives_no_key_is_told_so(visit: Visit) -> None:
    visit.go("/")
    expect(dialog(visit)).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#readiness")).to_have_text("A key is required")
    section = analyse(visit)
    button(dialog(visit), "Cancel").click()
    expect(section.locator(".error")).to_contain_text("The key is missing or wrong")
    assert only_refusals(visit)


@pytest.mark.parametrize("wrong", ["unroll_wrong", "틀린 키"])
def test_a_wrong_key_is_told_and_not_asked_for_again(timed: Visit, wrong: str) -> None:
    asked: list[str] = []
    timed.page.on("request", lambda request: asked.append(request.url.removeprefix(timed.server)))
    timed.go("/")
    enter(timed, wrong)
    expect(timed.page.locator("#readiness")).to_have_text("The server does not know this key")
    before = len(asked)
    timed.page.clock.run_for(5000)
    assert asked[before:] == []
    expect(dialog(timed)).to_be_hidden()
    timed.page.reload()  # the key was not stored
    expect(dialog(timed)).to_be_visible()
    expect(dialog(timed)).not_to_contain_text("not known")
    assert [path for path in asked if path == "/v1/models"] == ["/v1/models"] * 3
    assert only_refusals(timed)


def test_a_right_key_after_a_wrong_one_shows_the_models(visit: Visit) -> None:
    visit.go("/")
    enter(visit, "unroll_wrong")
    section = analyse(visit)
    expect(dialog(visit)).to_contain_text("The server does not know this key")
    enter(visit, TOKEN)
    expect(section.locator(".result")).to_have_count(2)
    expect(visit.page.locator("#models article").first).to_be_visible()
    expect(visit.page.locator("#readiness")).to_have_text("Ready. Engines: 1 of 1")
    assert only_refusals(visit)


def test_a_key_can_be_entered_without_a_job(visit: Visit) -> None:
    visit.go("/")
    button(dialog(visit), "Cancel").click()
    button(visit.page.locator(".intro"), "Enter a key").click()
    enter(visit, TOKEN)
    expect(visit.page.locator("#models article").first).to_be_visible()
    expect(button(visit.page.locator(".intro"), "Enter a key")).to_be_hidden()


def test_a_key_of_another_role_is_reported(visit: Visit) -> None:
    visit.go("/")
    enter(visit, MONITOR)
    expect(visit.page.locator("#readiness")).to_have_text("The key has another role")
    button(visit.page.locator(".intro"), "Enter a key").click()
    enter(visit, TOKEN)
    expect(visit.page.locator("#readiness")).to_have_text("Ready. Engines: 1 of 1")


def test_requests_that_are_made_at_once_ask_for_one_key(visit: Visit) -> None:
    visit.go("/")
    button(dialog(visit), "Cancel").click()
    expect(visit.page.locator("#readiness")).to_have_text("A key is required")  # the dialog is over
    visit.page.evaluate(
        """() => import("/assets/web/key.js").then(({ fetchWithKey }) => {
            const request = { headers: { "Content-Type": "application/json" }, body: '{"inputs": "A warm film"}' };
            const ask = () => fetchWithKey("v1/sentiment", { method: "POST", ...request });
            window.answers = Promise.all([ask(), ask(), ask()]).then((all) => all.map(({ status }) => status));
        })"""
    )
    enter(visit, TOKEN)
    assert visit.page.evaluate("window.answers") == [200, 200, 200]
    expect(dialog(visit)).to_be_hidden()


def test_the_key_is_asked_for_in_korean_and_is_not_shown(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, locale="ko-KR", viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = visit.go("/")
    asking = page.get_by_role("dialog", name="이 서비스에는 키가 필요합니다")
    field = asking.get_by_label("키", exact=True)
    expect(field).to_have_attribute("type", "password")
    expect(field).to_have_attribute("autocomplete", "off")
    expect(field).to_have_accessible_description("이 서버로만 보내고, 이 탭을 닫을 때까지만 보관합니다.")
    field.fill(TOKEN)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    button(asking, "이 키 쓰기").click()
    expect(page.locator("#readiness")).to_have_text("준비됨: 엔진 1개 중 1개")
    expect(page.locator("#key-entered")).to_have_value("")  # the key does not stay in the page
    visit.close()


def test_the_service_at_work_tells_of_a_missing_key_and_goes_on_with_one(timed: Visit) -> None:
    asked: list[str] = []
    timed.page.on("request", lambda request: asked.append(request.url.removeprefix(timed.server)))
    timed.go("/")
    button(dialog(timed), "Cancel").click()
    panel = timed.page.locator("#live")
    panel.locator("summary").click()
    expect(panel.get_by_role("alert")).to_have_text("The key is missing or wrong")
    timed.page.clock.run_for(5000)
    assert asked.count("/metrics") == 1
    button(timed.page.locator(".intro"), "Enter a key").click()
    enter(timed, TOKEN)
    expect(panel.locator("[data-figure=engines]")).to_have_text("1 of 1")
    expect(panel.get_by_role("alert")).to_be_empty()
    assert only_refusals(timed)


def test_what_a_link_cannot_open_is_not_offered(visit: Visit) -> None:
    page = visit.go("/")
    enter(visit, TOKEN)
    for _ in range(2):
        expect(page.locator("#models article").first).to_be_visible()
        for link in page.locator("nav.pages a").all():
            status = httpx.get(f"{visit.server}/{link.get_attribute('href')}").status_code
            expect(link).to_be_visible(visible=status == 200)
        page.reload()  # now with a stored key


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_command_names_the_variable_of_the_key(visit: Visit, picture: Path) -> None:
    visit.go("/")
    enter(visit, TOKEN)
    expect(visit.page.locator("#models article").first).to_be_visible()
    for name in ("Sentiment", "Caption", "chosen file"):
        section = job(visit, "Caption" if name == "chosen file" else name)
        if name == "chosen file":
            section.get_by_label("Choose an image").set_input_files(picture)
            expect(section.locator("code")).to_contain_text("picture.png")
        command = section.locator("code").text_content() or ""
        assert '-H "Authorization: Bearer $UNROLL_API_KEY"' in command
        assert TOKEN not in visit.page.content()
        told = os.environ | {"UNROLL_API_KEY": TOKEN}
        ran = subprocess.run(
            command, shell=True, env=told, capture_output=True, check=True, timeout=100, cwd=picture.parent
        )
        assert json.loads(ran.stdout)["results"], name
