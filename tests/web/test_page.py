"""The page at /: each task by clicking, errors, languages, widths."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from app.api.problems import ALL_KINDS
from tests.tiny_store import all_drafts
from tests.web.conftest import Visit
from tests.web.parts import button, job

pytestmark = pytest.mark.browser


def test_sentiment_of_the_prefilled_texts(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Sentiment")
    button(section, "Analyse").click()
    results = section.locator(".result")
    expect(results).to_have_count(2)
    for result, model in zip(results.all(), ["sentiment-en/1", "sentiment-ko/1"], strict=True):
        expect(result.locator(".model")).to_have_text(model)
        expect(result.locator(".facts")).to_contain_text("probability")
        degree = float(result.get_by_role("meter").get_attribute("aria-valuenow") or "")
        assert -1 <= degree <= 1
        expect(result.locator(".label")).to_have_text("positive" if degree >= 0 else "negative")
    expect(section.locator(".clock")).to_contain_text("answered in")
    visit.check()


def test_an_example_fills_the_text_and_runs(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Sentiment")
    button(section, "정말 재미있게 봤어요. 강력 추천합니다!").click()
    shown = section.get_by_role("toolbar").inner_text().replace("␣", " ")
    assert shown.split() == ["정말", "재미있게", "봤어요.", "강력", "추천합니다!"]
    expect(section.locator(".result .model")).to_have_text("sentiment-ko/1")
    expect(section.get_by_label("Text, English or Korean")).to_have_value("정말 재미있게 봤어요. 강력 추천합니다!")
    visit.check()


def test_lines_are_one_text_when_asked(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Sentiment")
    section.get_by_label("Treat each line as a separate text").uncheck()
    section.get_by_label("Text, English or Korean").fill("A warm film.\nI liked it.")
    button(section, "Analyse").click()
    expect(section.locator(".result")).to_have_count(1)
    visit.check()


def test_caption_of_a_chosen_file(visit: Visit, picture: Path) -> None:
    visit.go("/")
    section = job(visit, "Caption")
    section.get_by_label("Choose an image").set_input_files(picture)
    expect(section.locator(".model")).to_have_text("caption-en/1")
    expect(section.locator(".facts")).to_contain_text("score −")
    expect(section.locator(".facts")).to_contain_text("finish reason: ")
    expect(section.get_by_alt_text(f"The chosen image: {picture.name}")).to_be_visible()
    visit.check()


def test_caption_of_the_example(visit: Visit, picture: Path) -> None:
    visit.go("/")
    section = job(visit, "Caption")
    section.get_by_label("Choose an image").set_input_files(picture)
    expect(section.locator(".model")).to_be_visible()
    with visit.page.expect_response("**/v1/caption*"):
        button(section, "Use the example image").click()
    expect(section.locator(".model")).to_have_text("caption-en/1")
    example = httpx.get(f"{visit.server}/assets/web/example.webp").content
    sent = httpx.post(f"{visit.server}/v1/caption", content=example, headers={"Content-Type": "image/webp"})
    text = sent.raise_for_status().json()["results"][0]["text"]
    expect(section.locator(".sentence")).to_have_text(text or "(empty output)")
    visit.check()


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_caption_of_a_dropped_or_pasted_picture(visit: Visit, event: str) -> None:
    visit.go("/")
    visit.page.evaluate(
        """async (kind) => {
            const blob = await (await fetch("assets/web/example.webp")).blob();
            const data = new DataTransfer();
            data.items.add(new File([blob], `by ${kind}.webp`, { type: "image/webp" }));
            const zone = document.querySelector("#caption .zone");
            const options = { bubbles: true, cancelable: true };
            zone.dispatchEvent(
                kind === "drop"
                    ? new DragEvent("drop", { ...options, dataTransfer: data })
                    : new ClipboardEvent("paste", { ...options, clipboardData: data }),
            );
        }""",
        event,
    )
    section = job(visit, "Caption")
    expect(section.locator(".model")).to_have_text("caption-en/1")
    expect(section.locator(".name")).to_have_text(f"by {event}.webp")
    visit.check()


def test_translate(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Translate")
    section.get_by_label("English, one sentence per line").fill("Open file\n\nSave the changes")
    button(section, "Translate").click()
    expect(section.locator(".source")).to_have_text(["Open file", "Save the changes"])
    expect(section.locator(".model")).to_have_text(["translate-en-ko/1"] * 2)
    expect(section.locator(".facts").first).to_contain_text("finish reason: ")
    visit.check()


def test_buttons_rest_while_a_request_runs(visit: Visit) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.page.route("**/v1/translate", hold)
    visit.go("/")
    section = job(visit, "Translate")
    button(section, "Translate").click()
    expect(button(section, "Translate")).to_be_disabled()
    expect(button(section, "Open file")).to_be_disabled()
    expect(section.locator(".clock")).to_contain_text("Running 0.")
    while not held:  # the page may be ahead of the record of its request
        visit.page.wait_for_timeout(10)
    held[0].continue_()
    expect(button(section, "Translate")).to_be_enabled()
    expect(button(section, "Translate")).to_be_focused()
    expect(section.locator(".result")).to_have_count(1)
    visit.check()


def test_an_empty_text_is_not_sent(visit: Visit) -> None:
    visit.go("/")
    for name, run in (
        ("Sentiment", "Analyse"),
        ("RNN, GRU and LSTM on the same text", "Compare"),
        ("Translate", "Translate"),
        ("Tags", "Tag"),
    ):
        section = job(visit, name)
        section.get_by_role("textbox").fill("   ")
        button(section, run).click()
        expect(section.get_by_role("alert")).to_have_text(re.compile("An input is empty.*Write a text first."))
        expect(section.locator(".clock")).to_be_empty()
        button(section.get_by_role("group", name="Examples"), section.locator(".example").first.inner_text()).click()
        expect(section.locator(".result")).to_have_count(1)
        expect(section.get_by_role("alert")).to_be_empty()
    visit.check()  # the browser would log a refused request as an error


def test_problem_of_a_file_that_is_no_picture_is_told(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Caption")
    file = {"name": "notes.png", "mimeType": "image/png", "buffer": b"plain words"}
    section.get_by_label("Choose an image").set_input_files(file)  # type: ignore[arg-type]
    expect(section.get_by_role("alert")).to_contain_text("images[0] is not an image")
    expect(section.locator(".preview")).to_be_hidden()
    visit.page.get_by_role("button", name="한국어").click()
    told = visit.page.locator("#caption .problem")
    expect(told.locator("strong")).to_have_text("지원하지 않는 형식입니다")
    expect(told.locator("[lang=en]")).to_contain_text("images[0] is not an image")


def test_both_languages_have_words_for_every_problem(visit: Visit) -> None:
    page = visit.beside_modules()
    english, korean = page.evaluate("import('/assets/web/words.js').then(({ WORDS }) => [WORDS.en, WORDS.ko])")
    for kind in ALL_KINDS:
        assert english[f"problem.{kind.slug}"] == kind.title
        assert re.search("[가-힣]", korean[f"problem.{kind.slug}"])
    helps = page.evaluate("import('/assets/web/words/ko-help.js').then((words) => Object.keys(words.default))")
    assert sorted(helps) == sorted(kind.slug for kind in ALL_KINDS)


def test_markup_in_a_text_stays_text(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Sentiment")
    markup = "<img src=x onerror=alert(1)> fine"
    section.get_by_label("Text, English or Korean").fill(markup)
    button(section, "Analyse").click()
    expect(section.get_by_role("toolbar")).to_have_text(re.compile(r"img.*src.*onerror.*alert"))
    assert section.locator("img").count() == 0
    visit.check()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("name", ["Sentiment", "Caption", "chosen file", "Translate"])
def test_the_curl_command_gives_the_answer_of_the_page(visit: Visit, name: str, picture: Path) -> None:
    visit.go("/")
    section = job(visit, "Caption" if name == "chosen file" else name)
    if name == "chosen file":
        section.get_by_label("Choose an image").set_input_files(picture)
    else:
        if name != "Caption":
            section.get_by_role("textbox").fill('it\'s "fine" $HOME `id` \\n\n괜찮아요')
        button(section, {"Sentiment": "Analyse", "Caption": "Describe"}.get(name, name)).click()
    expect(section.locator(".model").first).to_be_visible()
    command = section.locator("code").text_content() or ""
    ran = subprocess.run(command, shell=True, capture_output=True, check=True, timeout=100, cwd=picture.parent)
    if name == "Translate":  # a stream
        told = [json.loads(data) for data in re.findall(rb"^event: result\ndata: (.*)$", ran.stdout, re.MULTILINE)]
        answers = [one["result"] for one in sorted(told, key=lambda one: one["input"])]
    else:
        answers = json.loads(ran.stdout)["results"]
    models = [f"{answer['model']}/{answer['version']}" for answer in answers]
    assert section.locator(".model").all_inner_texts() == models
    if name == "Sentiment":
        shown = section.locator(".degree").all_inner_texts()
        expected = [f"{answer['polarity']:+.2f}" for answer in answers]
    else:
        shown = section.locator(".facts span:first-child").all_inner_texts()
        expected = [f"score {answer['score']:.2f}" for answer in answers]
    assert [text.replace("−", "-") for text in shown] == expected
    visit.check()


def test_the_curl_command_is_copied(visit: Visit) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.go("/")
    section = job(visit, "Translate")
    section.get_by_text("The same request as code").click()
    button(section, "Copy").click()
    expect(button(section, "Copied")).to_be_visible()
    command = visit.page.evaluate("navigator.clipboard.readText()")
    assert command == section.locator("code").text_content()
    assert command.startswith(f"curl -sN {visit.server}/v1/translate")


def test_models_and_readiness_are_shown(visit: Visit) -> None:
    visit.go("/")
    expect(visit.page.locator("#readiness")).to_have_text("Ready. Engines: 1 of 1")
    cards = visit.page.locator("#models article")
    expect(cards).to_have_count(len(all_drafts()))
    expect(cards.filter(has_text="translate-en-ko/1")).to_contain_text("GRU-9")
    for link in visit.page.get_by_role("navigation").get_by_role("link").all():
        assert httpx.get(f"{visit.server}/{link.get_attribute('href')}").status_code == 200
    visit.check()


def test_readiness_is_asked_until_it_is_there(visit: Visit) -> None:
    starting = {"status": "starting", "engines_ready": 0, "engines": 1, "models": [], "broken": []}
    asked: list[Route] = []

    def answer(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=503, json=starting)
        else:
            route.continue_()

    visit.page.route("**/readyz", answer)
    visit.go("/")
    expect(visit.page.locator("#readiness")).to_have_text("Starting: no engine is ready yet")
    expect(visit.page.locator("#readiness")).to_have_text("Ready. Engines: 1 of 1")
    expect(visit.page.locator("#models article")).to_have_count(len(all_drafts()))


def test_language_is_switched_and_kept(visit: Visit) -> None:
    page = visit.go("/")
    page.get_by_role("button", name="한국어").click()
    expect(page.get_by_role("heading", name="번역", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "ko"
    page.reload()
    expect(page.get_by_role("button", name="번역하기")).to_be_visible()
    expect(page.get_by_role("button", name="한국어")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Translate", exact=True)).to_be_visible()
    visit.check()


def test_both_languages_say_everything(visit: Visit) -> None:
    page = visit.beside_modules()
    said = page.evaluate(
        "async () => Object.values((await import('/assets/web/words.js')).WORDS).map((words) => Object.keys(words))"
    )
    assert len(said) == 2
    assert said[0] == said[1]


def test_korean_browser_on_a_narrow_screen_in_the_dark(browser: Browser, server: str) -> None:
    visit = Visit.apart(
        browser, server, locale="ko-KR", viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True
    )
    page = visit.go("/")
    for switch in page.get_by_role("switch", name="기억 보기").all():
        switch.check()
    page.get_by_label("글", exact=True).fill("The plot makes no sense, but I smiled.")
    expect(page.locator(".film canvas")).to_have_count(6)  # the frames of the example clip
    for name in ("분석하기", "비교하기", "설명하기", "번역하기", "이어 쓰기", "태그 달기", "예측하기", "분류하기"):
        page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".result")).to_have_count(9)
    page.locator("#live summary").click()
    expect(page.locator("[data-figure=engines]")).to_have_text("1개 중 1개")
    for summary in page.get_by_text("숫자를 표로 보기").all():
        summary.click()
    expect(page.locator("#models article")).to_have_count(len(all_drafts()))
    for language in ("한국어", "English"):
        page.get_by_role("button", name=language).click()
        expect(page.locator(".result")).to_have_count(9)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    corner = "canvas => [...canvas.getContext('2d').getImageData(canvas.width - 1, 1, 1, 1).data]"
    assert page.get_by_role("application").first.evaluate(corner)[3] == 0  # the dark ground shines through
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 22)"
    visit.check()
    visit.close()


def test_the_page_may_load_nothing_from_elsewhere(http: httpx.Client) -> None:
    policy = http.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_everything_that_is_operated_or_seen_has_a_name(visit: Visit) -> None:
    page = visit.go("/")
    for switch in page.get_by_role("switch", name="Show the memory").all():
        switch.check()
    page.get_by_label("Text", exact=True).fill("The plot makes no sense, but I smiled.")
    expect(page.locator(".film canvas")).to_have_count(6)  # the frames of the example clip
    for name in ("Analyse", "Compare", "Describe", "Translate", "What comes next?", "Tag", "Forecast", "Classify"):
        page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".result")).to_have_count(9)
    for role in (
        "button",
        "img",
        "application",
        "toolbar",
        "combobox",
        "checkbox",
        "switch",
        "slider",
        "meter",
        "textbox",
    ):
        found = page.get_by_role(role)
        assert found.count() == page.get_by_role(role, name=re.compile(r"\S")).count() > 0, role
    visit.check()


def test_the_keyboard_reaches_the_sections_and_shows_where_it_is(visit: Visit) -> None:
    page = visit.go("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the tasks")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#jobs")).to_be_focused()
    page.keyboard.press("Tab")
    area = job(visit, "Sentiment").get_by_role("textbox")
    expect(area).to_be_focused()
    assert area.evaluate("area => getComputedStyle(area).outlineStyle") == "solid"
    page.keyboard.press("Control+Enter")
    expect(job(visit, "Sentiment").locator(".result")).to_have_count(2)
    visit.check()
