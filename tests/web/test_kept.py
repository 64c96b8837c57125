"""The kept state on the page: only new words are read, and two endings continue from a saved point."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Request, Route, expect

from app.main import create_app
from app.settings import Settings
from tests.conftest import PATIENCE, serving, serving_store, wait_until_ready
from tests.tiny_store import drafts, publish_tiny, tiny_tokenizer
from tests.web.conftest import Visit
from tests.web.parts import asked, button, job, percent

pytestmark = pytest.mark.browser
SENTIMENT, LANGUAGE = "sentiment-en-uni", "lm-en"
TEXT = "a warm and funny film"


@pytest.fixture(scope="module")
def number_server(number_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of forecasters, some of which carry a state."""
    with serving_store(number_store, tmp_path_factory.mktemp("engine")) as address:
        yield address


@pytest.fixture
def asked_for(visit: Visit) -> Iterator[list[Request]]:
    """The requests that the page sends to tasks, in order."""
    sent: list[Request] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            sent.append(request)

    visit.page.on("request", note)
    yield sent
    visit.page.remove_listener("request", note)


def opened(visit: Visit, model: str = SENTIMENT, text: str = TEXT) -> Locator:
    """The section, with the answer to a text."""
    visit.go("/")
    section = job(visit, "The memory, kept")
    section.get_by_label("Model").select_option(model)
    written(section).fill(text)
    expect(fact(section, "size")).to_be_visible()
    return section


def written(section: Locator) -> Locator:
    return section.get_by_label("Type on")


def fact(section: Locator, name: str) -> Locator:
    return section.locator(f"#kept-typed .facts .{name}")


def type_on(section: Locator, text: str) -> None:
    """Type at the end of the text, and wait for the answer to all of it."""
    written(section).focus()
    written(section).press("ControlOrMeta+End")
    written(section).press_sequentially(text)
    expect(section.locator("#kept-typed .kept")).to_have_text(written(section).input_value())
    expect(section.locator("#kept-typed")).to_have_attribute("aria-busy", "false")


def sent_by(request: Request) -> dict[str, Any]:
    return dict(json.loads(request.post_data or ""))


def answer_of(visit: Visit, path: str, **members: Any) -> dict[str, Any]:
    answer = httpx.post(visit.server + path, json=members, timeout=PATIENCE)
    return dict(answer.raise_for_status().json())


def degree(place: Locator) -> float:
    return float(place.get_by_role("meter").get_attribute("aria-valuenow") or "")


def endings(section: Locator) -> Locator:
    return section.locator("#kept-endings")


def try_endings(section: Locator, first: str, second: str) -> Locator:
    """Save the point, and write its endings. Returns the two answers."""
    button(section, "Save this point").click()
    expect(endings(section).locator(".result")).to_have_count(2)
    for number, text in ((1, first), (2, second)):
        endings(section).get_by_label(f"Ending {number}").fill(text)
    button(endings(section), "Try both").click()
    expect(endings(section)).to_have_attribute("aria-busy", "false")
    return endings(section).locator(".result")


def test_only_what_is_typed_on_is_read(visit: Visit, asked_for: list[Request]) -> None:
    section = opened(visit)
    expect(fact(section, "before")).to_have_text("tokens kept: 0")
    asked_for.clear()
    type_on(section, " that i would se")
    type_on(section, "e")
    bodies = [sent_by(request) for request in asked_for]
    assert all(len(body["inputs"]) < len(TEXT) and "model" not in body for body in bodies)
    assert "".join(body["inputs"] for body in bodies) == " that i would see"  # nothing was sent twice
    whole = answer_of(visit, "/v1/sentiment", inputs=f"{TEXT} that i would see", model=SENTIMENT)
    [result] = whole["results"]
    expect(section.locator("#kept-typed .label")).to_have_text(result["label"])
    assert degree(section) == pytest.approx(result["polarity"], abs=0.006)
    now, kept = (int((fact(section, name).text_content() or "").rpartition(" ")[2]) for name in ("now", "before"))
    assert 0 < now < kept
    assert now + kept == whole["usage"]["source_tokens"]
    state = answer_of(visit, "/v1/states", inputs=f"{TEXT} that i would see", model=SENTIMENT)["results"][0]["state"]
    expect(fact(section, "size")).to_have_text(f"state: {len(state) * 3 // 4:,} bytes")
    expect(section.get_by_role("status").first).to_contain_text(f"{result['label']}, probability")
    visit.check()


def test_the_words_that_were_read_are_marked(visit: Visit) -> None:
    section = opened(visit)
    expect(section.locator("mark")).to_have_text(TEXT)
    type_on(section, " s")
    type_on(section, "ee")
    expect(section.locator("mark")).to_have_text(" see")
    visit.check()


def test_a_text_that_was_read_is_not_read_again(visit: Visit, asked_for: list[Request]) -> None:
    section = opened(visit)
    before = section.locator("#kept-typed .verdict").inner_text()
    type_on(section, "!")
    asked_for.clear()
    written(section).press("Backspace")
    expect(section.locator("#kept-typed .kept")).to_have_text(TEXT)
    expect(fact(section, "now")).to_have_text("tokens read now: 0")
    assert section.locator("#kept-typed .verdict").inner_text() == before
    assert asked_for == []
    written(section).fill("the plot")  # another text: read from its beginning
    expect(fact(section, "before")).to_have_text("tokens kept: 0")
    assert sent_by(asked_for[-1]) == {"inputs": "the plot", "model": SENTIMENT, "return_state": True}
    written(section).fill("")
    expect(section.locator("#kept-typed .nothing")).to_be_visible()
    expect(button(section, "Save this point")).to_be_disabled()
    visit.check()


def test_two_endings_continue_from_a_saved_point(visit: Visit, asked_for: list[Request]) -> None:
    section = opened(visit)
    expect(endings(section)).to_be_hidden()
    results = try_endings(section, " and dull", " and the plot makes no sense")
    last = sent_by(asked_for[-1])
    assert last["inputs"] == [" and dull", " and the plot makes no sense"]
    for shown, ending in zip(results.all(), last["inputs"], strict=True):
        [result] = asked(visit, "/v1/sentiment", inputs=TEXT + ending, model=SENTIMENT)
        expect(shown.locator(".label")).to_have_text(result["label"])
        assert degree(shown) == pytest.approx(result["polarity"], abs=0.006)
    usage = answer_of(visit, "/v1/sentiment", **last)["usage"]
    expect(endings(section).locator(".now")).to_have_text(f"tokens read now: {usage['source_tokens']}")
    expect(endings(section).locator(".before")).to_have_text(f"tokens kept: {usage['kept_steps'] // 2}")
    expect(endings(section).get_by_role("status")).to_contain_text("Ending 2: ")
    type_on(section, " and more")
    expect(endings(section).locator(".source")).to_have_text(TEXT)
    asked_for.clear()
    button(endings(section), "Return to this point").click()
    expect(written(section)).to_have_value(TEXT)
    expect(written(section)).to_be_focused()
    expect(fact(section, "now")).to_have_text("tokens read now: 0")
    assert asked_for == []
    visit.check()


def test_an_ending_that_is_typed_is_followed(visit: Visit) -> None:
    section = opened(visit)
    results = try_endings(section, " and", " but")
    endings(section).get_by_label("Ending 2").press_sequentially(" the acting is worse")
    [result] = asked(visit, "/v1/sentiment", inputs=f"{TEXT} but the acting is worse", model=SENTIMENT)
    expect(results.nth(1).locator(".degree")).to_have_text(f"{result['polarity']:+.2f}".replace("-", "−"))
    visit.check()


def test_the_next_tokens_follow_and_endings_go_on(visit: Visit) -> None:
    section = opened(visit, LANGUAGE, "the plot")
    type_on(section, " makes")
    [result] = asked(visit, "/v1/complete", inputs="the plot makes", model=LANGUAGE, max_tokens=1, next_tokens=5)
    expect(section.locator("#kept-typed .shares .percent")).to_have_text(
        [percent(token["probability"]) for token in result["next"]]
    )
    results = try_endings(section, " no sense", " a warm film")
    wholes = asked(
        visit,
        "/v1/complete",
        inputs=["the plot makes no sense", "the plot makes a warm film"],
        model=LANGUAGE,
        max_tokens=16,
    )
    expect(results.locator(".sentence")).to_have_text(
        [f"{ending}{whole['text']}" for ending, whole in zip((" no sense", " a warm film"), wholes, strict=True)]
    )
    expect(endings(section).locator(".model")).to_have_text("lm-en/1")
    visit.check()


def test_a_state_of_a_service_that_began_anew_says_so(
    visit: Visit, tiny_store: Path, engine_endpoint: str, asked_for: list[Request]
) -> None:
    section = opened(visit)
    button(section, "Save this point").click()
    expect(endings(section).locator(".result")).to_have_count(2)
    with serving(create_app(Settings(store=tiny_store), engines=[engine_endpoint])) as other:
        wait_until_ready(other)

        def elsewhere(route: Route) -> None:
            answer = httpx.post(f"{other}/v1/sentiment", json=sent_by(route.request), timeout=PATIENCE)
            route.fulfill(status=answer.status_code, body=answer.content, content_type=answer.headers["content-type"])

        visit.page.route("**/v1/sentiment", elsewhere)
        written(section).press("ControlOrMeta+End")
        written(section).press_sequentially("s")
        told = section.locator("#kept-typed").get_by_role("alert")
        expect(told).to_contain_text("A state cannot be used")
        expect(told).to_contain_text("Press Read to read the text from its beginning.")
        expect(told.locator("[lang=en]")).to_contain_text("state was signed with another secret")
        expect(told).to_contain_text("HTTP 422")
        expect(button(section, "Save this point")).to_be_disabled()
        count = len(asked_for)
        written(section).press_sequentially(" and")
        expect(section.locator("#kept-typed .code code")).to_contain_text(f"{TEXT}s and")
        expect(told).to_contain_text("A state cannot be used")  # until the visitor asks for a new beginning
        assert len(asked_for) == count
        button(endings(section), "Try both").click()
        expect(endings(section).get_by_role("alert")).to_contain_text("This point can no longer be used.")
        button(section, "Read").click()
        expect(fact(section, "before")).to_have_text("tokens kept: 0")
        assert "state" not in sent_by(asked_for[-1])
        expect(told).to_be_empty()
        button(endings(section), "Return to this point").click()
        expect(section.locator("#kept-typed .kept")).to_have_text(TEXT)
        assert "state" not in sent_by(asked_for[-1])
        visit.page.unroute("**/v1/sentiment")


def test_a_state_that_was_changed_says_so(visit: Visit) -> None:
    section = opened(visit)

    def cut(route: Route) -> None:
        body = sent_by(route.request)
        route.continue_(post_data=json.dumps({**body, "state": body["state"][:-8]}))

    visit.page.route("**/v1/sentiment", cut)
    written(section).press("ControlOrMeta+End")
    written(section).press_sequentially("s")
    expect(section.locator("#kept-typed").get_by_role("alert")).to_contain_text("it was cut or changed; send it whole")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("model", "part"), [(SENTIMENT, "#kept-typed"), (LANGUAGE, "#kept-typed"), (SENTIMENT, "#kept-endings")]
)
def test_the_curl_commands_keep_a_state_and_continue_from_it(visit: Visit, model: str, part: str) -> None:
    section = opened(visit, model, "it's a warm")
    type_on(section, ' "film" that')
    button(section, "Save this point").click()
    expect(endings(section).locator(".result")).to_have_count(2)
    type_on(section, " i'd")
    command = section.locator(f"{part} .code code").text_content() or ""
    assert command.count("$STATE") == command.count("STATE=$(") == (2 if model == LANGUAGE else 1)
    answer = json.loads(
        subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=PATIENCE).stdout
    )
    if part == "#kept-endings":
        assert degree(section.locator(f"{part} .result").first) == pytest.approx(
            answer["results"][0]["polarity"], abs=0.006
        )
    elif model == LANGUAGE:
        [result] = answer["results"]
        expect(section.locator(".shares .percent").first).to_have_text(percent(result["next"][0]["probability"]))
    else:
        [result] = answer["results"]
        assert degree(section.locator(part)) == pytest.approx(result["polarity"], abs=0.006)
        whole = answer_of(visit, "/v1/sentiment", inputs="it's a warm \"film\" that i'd", model=model)
        assert result["polarity"] == pytest.approx(whole["results"][0]["polarity"], abs=1e-6)
    visit.check()


def test_a_forecast_goes_on_with_new_rows(browser: Browser, number_server: str) -> None:
    visit = Visit.apart(browser, number_server)
    rows = ["temperature,wind", "10.5,3", "11,2.5", "9.5,4"]
    visit.go("/")
    section = job(visit, "The memory, kept")
    section.get_by_label("Model").select_option("forecast-state")
    expect(written(section)).to_have_value("temperature,wind\n")
    expect(section.get_by_text("A row is read when its line has ended.")).to_be_visible()
    written(section).fill("\n".join(rows) + "\n")
    expect(fact(section, "now")).to_have_text("rows read now: 3")
    written(section).press("ControlOrMeta+End")
    written(section).press_sequentially("12,3.5\n")
    expect(fact(section, "before")).to_have_text("rows kept: 3")
    expect(fact(section, "now")).to_have_text("rows read now: 1")
    series = [[10.5, 3], [11, 2.5], [9.5, 4], [12, 3.5]]
    [result] = asked(visit, "/v1/forecast", inputs=series, model="forecast-state")
    shown = [f"{value:.2f}".replace("-", "−") for row in result["values"] for value in row]
    expect(section.locator("#kept-typed td")).to_have_text(shown)
    results = try_endings(section, "13,3", "2,9\n1,9")
    for one, ending in zip(results.all(), ([[13, 3]], [[2, 9], [1, 9]]), strict=True):
        [result] = asked(visit, "/v1/forecast", inputs=[*series, *ending], model="forecast-state")
        expect(one.locator("td")).to_have_text(
            [f"{value:.2f}".replace("-", "−") for row in result["values"] for value in row]
        )
    expect(endings(section).locator(".now")).to_have_text("rows read now: 3")
    visit.check()
    visit.close()


def test_labels_of_a_classifier_follow(browser: Browser, tmp_path: Path) -> None:
    [draft] = [draft for draft in drafts() if draft.name == SENTIMENT]
    update = {"name": "classify-topic", "task": "classification", "labels": ("sport", "science")}
    publish_tiny(draft.model_copy(update=update), tmp_path / "store", tiny_tokenizer(tmp_path))
    with serving_store(tmp_path / "store", tmp_path) as address:
        visit = Visit.apart(browser, address)
        section = opened(visit, "classify-topic")
        type_on(section, " again")
        [result] = asked(visit, "/v1/classify", inputs=f"{TEXT} again", model="classify-topic")
        expect(section.locator("#kept-typed .label")).to_have_text(result["label"])
        most = sorted(result["scores"].items(), key=lambda item: -item[1])
        expect(section.locator("#kept-typed .shares li")).to_have_text(
            [f"{label}{percent(share)}" for label, share in most]
        )
        results = try_endings(section, " the plot", " the acting is worse")
        wholes = asked(visit, "/v1/classify", inputs=[f"{TEXT} the plot", f"{TEXT} the acting is worse"])
        expect(results.locator(".label")).to_have_text([whole["label"] for whole in wholes])
        visit.check()
        visit.close()


def test_the_keyboard_reads_and_saves_a_point(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "The memory, kept")
    section.get_by_label("Model").select_option(SENTIMENT)
    written(section).focus()
    visit.page.keyboard.press("Control+Enter")
    expect(fact(section, "size")).to_be_visible()
    for name in ("Read", "Save this point"):
        visit.page.keyboard.press("Tab")
        expect(button(section, name)).to_be_focused()
    visit.page.keyboard.press("Enter")
    expect(endings(section).locator(".result")).to_have_count(2)
    expect(button(section, "Save this point")).to_be_focused()
    visit.check()


def test_in_korean_on_a_narrow_screen(browser: Browser, server: str) -> None:
    visit = Visit.apart(
        browser, server, locale="ko-KR", viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True
    )
    visit.go("/")
    section = job(visit, "이어 쓰는 기억")
    for model in (SENTIMENT, "lm-ko"):
        section.get_by_label("모델").select_option(model)
        section.get_by_label("이어서 쓰기").fill("정말 재미있게 봤어요")
        expect(fact(section, "before")).to_have_text("상태에 담긴 토큰 0개")
        button(section, "이 지점 저장").click()
        expect(endings(section).locator(".model")).to_have_text(f"{model}/1")
        boxes = [one.bounding_box() for one in endings(section).locator(".result").all()]
        assert boxes[0]
        assert boxes[1]
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["x"] < boxes[1]["x"]  # side by side
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    for role in ("textbox", "button", "combobox"):
        controls = section.get_by_role(role)
        assert controls.count() == section.get_by_role(role, name=re.compile(r"\S")).count() > 0
    visit.check()
    visit.close()


def test_without_a_model_that_carries_a_state_it_is_hidden(browser: Browser, tmp_path: Path) -> None:
    [translator] = [draft for draft in drafts() if draft.task == "translation"]
    publish_tiny(translator, tmp_path / "store", tiny_tokenizer(tmp_path))
    with serving_store(tmp_path / "store", tmp_path) as address:
        visit = Visit.apart(browser, address)
        visit.go("/")
        expect(visit.page.locator("#models article")).to_have_count(1)
        expect(visit.page.locator("#kept")).to_be_hidden()
        expect(visit.page.get_by_role("link", name="Kept state", exact=True)).to_be_hidden()
        visit.check()
        visit.close()
