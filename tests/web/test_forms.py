"""Forms of the page: many lines, long texts, a stop, reloads, links, dropped files, and requests as code."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from app.api.pages import WEB_ASSETS
from app.main import create_app
from app.settings import Settings
from tests.conftest import running
from tests.web.conftest import Visit, visiting
from tests.web.parts import asked, button, job, slowly

pytestmark = pytest.mark.browser
DROP = """([selector, name, type, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], name, { type }));
    const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
    document.querySelector(selector).dispatchEvent(event);
}"""

WRITTEN = """(section) =>
    section.querySelector("textarea").value + (section.querySelector(".results .result")?.innerText ?? "")"""


def texted(visit: Visit, name: str, text: str) -> Locator:
    """A section whose text is filled."""
    section = job(visit, name)
    section.get_by_role("textbox").first.fill(text)
    return section


def test_many_lines_are_sent_in_parts_and_their_plots_are_folded(visit: Visit) -> None:
    lines = [f"Film number {number} is good." for number in range(70)]
    visit.go("/")
    section = texted(visit, "Sentiment", "\n".join(lines))
    button(section, "Analyse").click()
    expect(section.locator(".source")).to_have_text(lines)
    expect(section.locator(".clock")).to_contain_text("answered in")
    sent = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/v1/sentiment')).length"
    assert visit.page.evaluate(sent) == 3  # of at most 32 lines each
    expect(section.locator(".plot")).to_have_count(0)
    section.locator(".result").nth(3).get_by_text("Word by word").click()
    expect(section.get_by_role("toolbar")).to_contain_text("3")
    expect(section.locator(".plot")).to_have_count(1)
    visit.check()


def test_the_answers_so_far_stay_when_a_request_is_stopped(visit: Visit) -> None:
    held: list[Route] = []

    def hold_second(route: Route) -> None:
        if "number 0" in (route.request.post_data or ""):
            route.continue_()
        else:
            held.append(route)

    visit.page.route("**/v1/sentiment", hold_second)
    visit.go("/")
    section = texted(visit, "Sentiment", "\n".join(f"Film number {number} is good." for number in range(70)))
    button(section, "Analyse").click()
    expect(section.locator(".clock")).to_contain_text("32 of 70")
    expect(section.get_by_role("progressbar")).to_have_attribute("value", "32")
    button(section, "Stop").click()
    expect(section.locator(".clock")).to_contain_text("stopped after")
    expect(section.locator(".result")).to_have_count(32)
    expect(button(section, "Analyse")).to_be_focused()
    expect(button(section, "Stop")).to_be_hidden()
    visit.check()


def test_a_stream_is_stopped(visit: Visit) -> None:
    visit.page.route("**/v1/complete", lambda route: None)
    visit.go("/")
    section = job(visit, "Language model")
    button(section, "Complete").click()
    button(section, "Stop").click()
    expect(section.locator(".clock")).to_contain_text("stopped after")
    expect(button(section, "Complete")).to_be_enabled()
    visit.check()


@pytest.mark.parametrize(
    ("name", "text", "run"), [("Language model", "the", "Complete"), ("Translate", "Open the file", "Translate")]
)
def test_a_stream_that_has_begun_is_stopped(
    page: Page, tiny_store: Path, engine_endpoint: str, name: str, text: str, run: str
) -> None:
    app = create_app(Settings(store=tiny_store), engines=[engine_endpoint])
    with running(slowly(app, piece=40, seconds=0.2)) as address, visiting(page, address) as visit:
        visit.go("/")
        section = texted(visit, name, text)
        for temperature in section.get_by_label("Temperature").all():
            temperature.fill("0")  # a drawn token may end the text at once
        button(section, run).click()
        while section.evaluate(WRITTEN) == text:
            visit.page.wait_for_timeout(50)
        button(section, "Stop").click()
        expect(section.locator(".clock")).to_contain_text("stopped after")
        kept = section.evaluate(WRITTEN)
        visit.page.wait_for_timeout(1000)  # more parts would have come
        assert section.evaluate(WRITTEN) == kept
        visit.check()


def test_a_refused_line_is_named_by_its_number(visit: Visit) -> None:
    visit.go("/")
    lines = [f"Film number {number} is good." for number in range(40)]
    lines[36] = "good " * 4500
    section = texted(visit, "Sentiment", "\n".join(lines))
    button(section, "Analyse").click()
    expect(section.get_by_role("alert")).to_contain_text("Line 37.")
    expect(section.locator(".result")).to_have_count(32)


@pytest.mark.parametrize(
    ("title", "go", "route"), [("Sentiment", "Analyse", "/v1/sentiment"), ("Translate", "Translate", "/v1/translate")]
)
def test_what_fits_of_a_text_that_is_too_long_is_read_on_request(visit: Visit, title: str, go: str, route: str) -> None:
    text = "good " * 9000
    visit.go("/")
    section = texted(visit, title, text)
    button(section, go).click()
    expect(section.get_by_role("alert")).to_contain_text("An input is too long")
    button(section, "Read what fits, and leave out the rest").click()
    expect(section.locator(".result")).to_have_count(1)
    expect(section.get_by_role("alert")).to_be_empty()
    expect(section).to_contain_text("What did not fit was left out.")
    expect(button(section, go)).to_be_focused()
    [whole] = asked(visit, route, inputs=[text.strip()], truncate=True)
    expect(section.locator(".result")).to_contain_text(str(whole.get("text") or whole["label"]))
    section.get_by_role("textbox").first.fill(f"{text} again")
    button(section, go).click()
    expect(section.get_by_role("alert")).to_contain_text("An input is too long")


def test_a_text_too_long_for_a_plot_has_its_label(visit: Visit) -> None:
    text = ("good film " * 200).strip()
    visit.go("/")
    section = texted(visit, "Sentiment", f"{text}\nA good film.")
    button(section, "Analyse").click()
    expect(section.locator(".result")).to_have_count(2)
    [long, _] = asked(visit, "/v1/sentiment", inputs=[text, "A good film."])
    expect(section.locator(".result").first.locator(".label")).to_have_text(long["label"])
    expect(section.locator(".result").first.locator(".hint")).to_have_text(
        re.compile("longer than 128 tokens.*no plot")
    )
    expect(section.locator(".result").first.locator(".plot")).to_have_count(0)
    expect(section.locator(".result").last.locator(".plot")).to_have_count(1)


def test_text_and_options_survive_a_reload(visit: Visit) -> None:
    visit.go("/")
    section = texted(visit, "Sentiment", "Typed by hand.")
    section.get_by_label("Treat each line as a separate text").uncheck()
    section.get_by_label("Model").select_option("sentiment-en-uni")
    texted(visit, "Language model", "Once upon")
    visit.page.reload()
    expect(section.get_by_role("textbox")).to_have_value("Typed by hand.")
    expect(section.get_by_label("Treat each line as a separate text")).not_to_be_checked()
    expect(section.get_by_label("Model")).to_have_value("sentiment-en-uni")
    expect(job(visit, "Language model").get_by_role("textbox").first).to_have_value("Once upon")
    visit.check()


def linked(visit: Visit, browser: Browser, section: Locator) -> Visit:
    """Another visitor, who follows the link that the section copies."""
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button(section, "Copy a link to this").click()
    expect(button(section, "Copied")).to_be_visible()
    other = Visit.apart(browser, visit.server)
    other.page.goto(visit.page.evaluate("navigator.clipboard.readText()"))
    return other


def test_a_link_carries_the_form_and_shows_its_answer(visit: Visit, browser: Browser) -> None:
    visit.go("/")
    section = texted(visit, "Sentiment", "A film & a half?\n좋은 영화")
    section.get_by_role("switch", name="Show the memory").check()
    other = linked(visit, browser, section)
    found = job(other, "Sentiment")
    expect(found.get_by_role("textbox")).to_have_value("A film & a half?\n좋은 영화")
    expect(found.get_by_role("switch", name="Show the memory")).to_be_checked()
    expect(found.locator(".result")).to_have_count(2)
    assert other.page.url == f"{visit.server}/#sentiment"  # what is typed next survives a reload
    other.check()
    other.close()


def test_a_link_to_tags_and_to_compared_networks_shows_their_answers(visit: Visit, browser: Browser) -> None:
    for name, run in (("Tags", "Tag"), ("RNN, GRU and LSTM on the same text", "Compare")):
        visit.go("/")
        section = texted(visit, name, "A film that I would see again.")
        if run == "Compare":
            section.get_by_role("checkbox", name="sentiment").first.uncheck()
        button(section, run).click()
        expect(section.locator(".result")).to_be_visible()
        shown = section.locator(".result .model").all_inner_texts()
        other = linked(visit, browser, section)
        opened = job(other, name)
        expect(opened.get_by_role("textbox").first).to_have_value("A film that I would see again.")
        expect(opened.locator(".result")).to_be_visible()
        assert opened.locator(".result .model").all_inner_texts() == shown
        other.check()
        other.close()


def test_a_link_carries_what_is_shown_of_the_memory(visit: Visit, browser: Browser) -> None:
    visit.go("/")
    section = texted(visit, "Sentiment", "A film, and a half.")
    section.get_by_role("switch", name="Show the memory").check()
    button(section, "Analyse").click()
    chosen = {"Show": "forget", "Sort units by": "number", "Direction": "backward"}
    for label, value in chosen.items():
        section.get_by_label(label, exact=True).select_option(value)
    other = linked(visit, browser, section)
    for label, value in chosen.items():
        expect(job(other, "Sentiment").get_by_label(label, exact=True)).to_have_value(value)
    other.check()
    other.close()


def test_a_link_carries_the_layer_whose_memory_is_shown(visit: Visit, browser: Browser) -> None:
    visit.go("/")
    section = texted(visit, "Language model", "the plot makes")
    section.get_by_role("switch", name="Show the memory").check()
    button(section, "What comes next?").click()
    section.get_by_label("Layer").select_option("1 of 2")
    expect(section.get_by_label("Layer")).to_have_value("0")
    other = linked(visit, browser, section)
    expect(job(other, "Language model").get_by_label("Layer")).to_have_value("0")
    other.check()
    other.close()
    visit.page.reload()
    button(section, "What comes next?").click()
    expect(section.get_by_label("Layer")).to_have_value("0")


def test_a_link_to_a_layer_that_a_compared_network_lacks_shows_its_usual_one(visit: Visit) -> None:
    visit.go("/#compare?text=A%20film.&memory=1&layers=sentiment-en-uni%3D9&part=forget&order=number")
    memories = job(visit, "RNN, GRU and LSTM on the same text").locator(".memories .memory")
    expect(memories.nth(1)).to_be_visible()
    for memory in memories.all():
        expect(memory.get_by_label("Show", exact=True)).to_have_value("forget")
        expect(memory.get_by_label("Sort units by")).to_have_value("number")


@pytest.mark.parametrize("place", ["#kept-text", "#kept-ending-2"])
def test_a_text_file_is_taken_by_a_kept_text_and_an_ending(visit: Visit, place: str) -> None:
    visit.go("/")
    section = job(visit, "The memory, kept")
    section.get_by_label("Model").first.select_option("lm-en")
    button(section, "Read").click()
    button(section, "Save this point").click()
    expect(section.locator("#kept-ending-2")).to_be_visible()
    visit.page.evaluate(DROP, [place, "a.txt", "text/plain", list(b"the plot makes no sense")])
    expect(section.locator(place)).to_have_value("the plot makes no sense")
    visit.page.reload()
    expect(visit.page.locator(place)).to_have_value("the plot makes no sense")


def test_a_picture_on_the_form_of_numbers_goes_to_the_caption(visit: Visit, picture: Path) -> None:
    visit.go("/")
    expect(job(visit, "Caption")).to_be_visible()
    before = visit.page.locator("#forecast textarea").input_value()
    visit.page.evaluate(DROP, ["#forecast textarea", "photo.png", "image/png", list(picture.read_bytes())])
    expect(job(visit, "Caption").locator(".name")).to_have_text("photo.png")
    assert "PNG" not in visit.page.locator("#forecast textarea").input_value()
    assert before in visit.page.locator("#forecast textarea").input_value()


@pytest.mark.parametrize("place", ["#translate-text", "#translate form .run"])
def test_a_text_file_on_a_textarea_or_beside_it_is_its_text(visit: Visit, place: str) -> None:
    visit.go("/")
    visit.page.evaluate(DROP, [place, "a.txt", "text/plain", list(b"Open file\nSave the changes\n")])
    section = job(visit, "Translate")
    expect(section.locator(".source")).to_have_text(["Open file", "Save the changes"])
    expect(section.locator(".model")).to_have_count(2)
    visit.check()


def test_a_picture_is_taken_wherever_it_is_dropped(visit: Visit, picture: Path) -> None:
    visit.go("/")
    expect(job(visit, "Caption")).to_be_visible()
    visit.page.evaluate(DROP, ["#models", "photo.png", "image/png", list(picture.read_bytes())])
    expect(job(visit, "Caption").locator(".name")).to_have_text("photo.png")
    expect(job(visit, "Caption").locator(".model")).to_be_visible()
    visit.check()


def test_an_animation_dropped_beside_the_box_of_clips_is_a_clip(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Clips")
    expect(section.locator(".film canvas")).to_have_count(6)
    clip = (WEB_ASSETS / "example-clip.webp").read_bytes()
    visit.page.evaluate(DROP, ["#clip h2", "moved.webp", "image/webp", list(clip)])
    expect(section.locator(".name")).to_contain_text("moved.webp")
    expect(job(visit, "Caption").locator(".name")).not_to_contain_text("moved.webp")
    visit.check()


def test_a_photo_above_the_limit_is_scaled_down(visit: Visit, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.effect_noise((5200, 2600), 60).save(large)  # 13 megapixels
    visit.page.add_init_script(
        "const send = fetch;"
        "window.fetch = (url, options) => { window.sent = options?.body ?? window.sent; return send(url, options); }"
    )
    visit.go("/")
    section = job(visit, "Caption")
    section.get_by_label("Choose an image").set_input_files(large)
    expect(section.locator(".name")).to_have_text("large.png, scaled down from 5200 × 2600 to 1600 × 800 pixels")
    expect(section.locator(".model")).to_be_visible()
    sent = visit.page.evaluate(
        """async () => {
            const file = sent instanceof FormData ? [...sent.values()].find((value) => value instanceof Blob) : sent;
            const { width, height } = await createImageBitmap(file);
            return [file.type, width, height];
        }"""
    )
    assert sent == ["image/jpeg", 1600, 800]
    visit.check()


def test_a_text_in_the_script_of_another_language_is_not_compared(visit: Visit) -> None:
    visit.go("/")
    section = texted(visit, "RNN, GRU and LSTM on the same text", "정말 좋은 영화 film")
    button(section, "Compare").click()
    expect(section.get_by_role("alert")).to_contain_text("The model reads English")
    expect(section.locator(".result")).to_have_count(0)
    visit.check()


@pytest.mark.parametrize(("name", "run"), [("Tags", "Tag"), ("Translate", "Translate")])
def test_a_text_that_the_model_does_not_read_is_not_sent(visit: Visit, name: str, run: str) -> None:
    visit.go("/")
    section = texted(visit, name, "정말 좋은 영화")
    button(section, run).click()
    expect(section.locator(".problem")).to_contain_text("The model reads English")
    visit.check()


def test_a_file_that_no_form_takes_is_said_and_a_table_goes_to_the_forecast(visit: Visit) -> None:
    visit.go("/")
    visit.page.evaluate(DROP, ["#sentiment textarea", "paper.pdf", "application/pdf", list(b"%PDF-1.7")])
    expect(job(visit, "Sentiment").locator(".problem")).to_contain_text("paper.pdf")
    visit.page.evaluate(DROP, ["h1", "letter.docx", "application/msword", list(b"PK")])
    expect(visit.page.locator(".problem").filter(has_text="letter.docx")).to_be_in_viewport()
    table = "temp_max,temp_min\n" + "\n".join(f"{20 + day},{10 + day}" for day in range(12))
    visit.page.evaluate(DROP, ["#sentiment textarea", "weather.csv", "text/csv", list(table.encode())])
    expect(job(visit, "Forecast").locator("textarea")).to_have_value(re.compile("^temp_max,temp_min"))


def test_what_a_score_means_is_shown_when_it_has_the_focus(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Translate")
    button(section, "Translate").click()
    term = section.get_by_role("button", name=re.compile("^score"))
    expect(section.get_by_role("tooltip")).to_have_count(0)
    term.focus()
    expect(section.get_by_role("tooltip")).to_contain_text("log-probability")
    visit.check()


def test_tokens_are_large_enough_to_touch(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Sentiment")
    button(section, "Analyse").click()
    expect(section.locator(".result")).to_have_count(2)
    for token in section.locator(".token").all():
        box = token.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24


def test_the_input_is_on_the_first_screen_of_a_phone(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, viewport={"width": 360, "height": 740})
    area = visit.go("/").locator("#sentiment-text")
    expect(visit.page.locator("#readiness")).to_have_text(re.compile("Ready"))
    box = area.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 740
    visit.close()


def test_bars_and_words_keep_their_colours_in_the_systems_own(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, forced_colors="active", color_scheme="dark")
    visit.go("/")
    section = job(visit, "Sentiment")
    button(section, "Analyse").click()
    expect(section.locator(".result")).to_have_count(2)
    colour = "(part) => getComputedStyle(part).backgroundColor"
    ground = section.evaluate(colour)
    for part in (section.locator(".bar").first, section.locator(".token").first):
        assert part.evaluate(colour) not in (ground, "rgba(0, 0, 0, 0)")
    compared = job(visit, "RNN, GRU and LSTM on the same text")
    compared.get_by_role("textbox").first.fill("A film that I would see again.")
    button(compared, "Compare").click()
    expect(compared.locator(".legend li")).to_have_count(2)
    stroke = "(part) => getComputedStyle(part).stroke"
    samples = [sample.evaluate(stroke) for sample in compared.locator(".sample line").all()]
    assert len(set(samples)) == 2
    assert ground not in samples
    visit.close()


def test_korean_says_what_helps_and_what_a_model_does(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, locale="ko-KR")
    visit.go("/")
    section = visit.page.locator("#sentiment")
    section.get_by_role("textbox").fill("хороший фильм")
    button(section, "분석하기").click()
    expect(section.locator(".problem > p").first).to_contain_text("기본 모델이 없습니다")
    expect(section.locator(".problem [lang=en]")).to_be_hidden()
    section.get_by_text("영어 설명").click()
    expect(section.locator(".problem [lang=en]")).to_be_visible()
    visit.close()


def test_korean_names_the_place_of_a_problem(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, locale="ko-KR")
    visit.go("/")
    section = visit.page.locator("#forecast")
    expect(section.locator("textarea")).to_have_value(re.compile("2015"))  # the example has arrived
    lines = section.locator("textarea").input_value().splitlines()
    heads = lines[0].split(",")
    lines[3] = ",".join(
        "x" if name == heads[-1] else value for name, value in zip(heads, lines[3].split(","), strict=True)
    )
    section.locator("textarea").fill("\n".join(lines))
    section.locator(".run [type=submit]").click()
    expect(section.locator(".problem > p").first).to_contain_text(f"문제가 있는 곳: 2행(0부터), {heads[-1]} 열.")
    visit.close()


@pytest.mark.parametrize("kind", ["python", "javascript"])
@pytest.mark.parametrize(
    "name",
    [
        "Sentiment",
        "RNN, GRU and LSTM on the same text",
        "Caption",
        "chosen file",
        "Translate",
        "Language model",
        "Tags",
        "Forecast",
        "Clips",
        "The memory, kept",
    ],
)
def test_the_code_runs_and_prints_the_answer(visit: Visit, name: str, kind: str, picture: Path) -> None:
    if kind == "javascript" and shutil.which("node") is None:
        pytest.skip("node is not installed")
    visit.go("/")
    expect(visit.page.locator("#readiness")).to_have_text(re.compile("Ready"))
    section = job(visit, "Caption" if name == "chosen file" else name)
    if name == "chosen file":
        section.get_by_label("Choose an image").set_input_files(picture)
        expect(section.locator(".model")).to_be_visible()
    elif name == "The memory, kept":
        section.get_by_label("Model").first.select_option("lm-en")
        for text in ("the plot", "the plot makes"):
            section.get_by_role("textbox").first.fill(text)
            button(section, "Read").click()
            expect(section.locator(".kept").first).to_contain_text(text)
    elif name == "RNN, GRU and LSTM on the same text":
        section.get_by_role("textbox").fill("A film that is too long for an explanation by these models. " * 4)
        button(section, "Compare").click()
        expect(section.get_by_text("it has a label, but no plot").first).to_be_visible()
        expect(section.locator("code")).not_to_contain_text("explain")
        visit.complaints.clear()  # of the requests that were refused
    elif name == "Tags":
        section.get_by_role("textbox").fill('it\'s "fine" \\n ${HOME} `id`')
    elif name in ("Sentiment", "Translate"):
        section.get_by_role("textbox").fill('it\'s "fine" \\n ${HOME} `id`\n괜찮아요 film')
    elif name == "Forecast":
        expect(section.locator("code")).to_contain_text("2015")  # the example has arrived
    elif name == "Language model":
        section.get_by_role("switch", name="Show the memory").check()
    section.get_by_text("The same request as code").first.click()
    section.get_by_label("Language of the code").first.select_option(kind)
    code = section.locator("code").first.text_content() or ""
    command = [sys.executable, "-c", code] if kind == "python" else ["node", "--input-type=module", "-e", code]
    ran = subprocess.run(command, capture_output=True, timeout=100, cwd=picture.parent, text=True)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"model['\"]?: ?['\"]", ran.stdout), ran.stdout
    if name == "Language model":
        assert "explanation" in ran.stdout
    visit.check()
