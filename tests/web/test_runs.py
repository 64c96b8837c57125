"""The memory of language models, translators and captioners on the page: the numbers are those of the API."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.web.conftest import Visit
from tests.web.parts import asked, button, cells, job

pytestmark = pytest.mark.browser
TEXT = "the plot makes"
SENTENCE = "do you want to save the file"
UNITS = 64
NAMES = {"<eos>": "(end)", "<bos>": "(start)"}


def words(tokens: list[str]) -> list[str]:
    """Tokens as the page names them."""
    return [NAMES.get(token, token.strip() or "␣") for token in tokens]


def completed(visit: Visit, *, text: str = TEXT) -> Locator:
    """The section of the language model with its memory of a text."""
    visit.go("/")
    section = job(visit, "Language model")
    section.get_by_label("Text to complete").fill(text)
    section.get_by_role("switch", name="Show the memory").check()
    button(section, "What comes next?").click()
    expect(section.locator(".model")).to_be_visible()
    return section


def translated(visit: Visit) -> Locator:
    """The section of translations with the memory of a sentence."""
    visit.go("/")
    section = job(visit, "Translate")
    section.get_by_role("textbox").fill(SENTENCE)
    section.get_by_role("switch", name="Show the memory").check()
    button(section, "Translate").click()
    expect(section.locator(".runs")).to_be_visible()
    return section


def runs_of(visit: Visit, path: str, **members: Any) -> list[dict[str, Any]]:
    [result] = asked(visit, path, explain=True, units=UNITS, **members)
    found: list[dict[str, Any]] = result["explanation"]["runs"]
    return found


def check_cell(section: Locator, direction: dict[str, Any], names: list[str], *, part: str = "hidden state") -> None:
    """The first cell of the heat map, of the unit with the lowest number, has the number of the API."""
    section.locator(".runs").get_by_label("Show", exact=True).select_option(part)
    section.get_by_label("Sort units by").select_option("number")
    rows = direction["gates"]["forget"] if part == "forget gate" else direction["hidden"]
    heat = section.locator(".runs").get_by_role("application")
    heat.focus()
    section.page.keyboard.press("ArrowDown")  # the first key shows the place
    section.page.keyboard.press("ArrowRight")
    value = rows[1][direction["units"].index(0)]
    shown = f"{part} of unit 0 at “{names[1]}”: {value:.3f}".replace("-", "−")
    expect(section.locator(".runs .heatmap .readout")).to_have_text(shown)


def test_a_language_model_shows_what_it_keeps_of_a_text(visit: Visit) -> None:
    section = completed(visit)
    [run] = runs_of(visit, "/v1/complete", inputs=TEXT, max_tokens=1)
    names = words(run["reads"])
    expect(section.get_by_role("toolbar", name="The tokens, step by step").get_by_role("button")).to_have_text(names)
    [direction] = run["activations"]["directions"]
    check_cell(section, direction, names)
    check_cell(section, direction, names, part="forget gate")
    expect(section.locator(".cell-diagram")).to_have_attribute("aria-label", re.compile(f"at “{re.escape(names[1])}”"))
    expect(section.get_by_label("Network")).to_have_count(0)
    visit.check()


def test_a_layer_is_chosen(visit: Visit) -> None:
    section = completed(visit)
    expect(section.get_by_label("Layer")).to_have_value("1")
    section.get_by_label("Layer").select_option("1 of 2")
    [below] = runs_of(visit, "/v1/complete", inputs=TEXT, max_tokens=1, layer=0)
    expect(section.get_by_label("Layer")).to_have_value("0")
    check_cell(section, below["activations"]["directions"][0], words(below["reads"]))
    visit.check()


def test_the_memory_follows_the_text_that_grows(visit: Visit) -> None:
    section = completed(visit)
    tokens = section.get_by_role("toolbar", name="The tokens, step by step").get_by_role("button")
    before = tokens.count()
    section.get_by_label("Temperature").fill("0")  # a drawn token can be the end, which adds nothing
    section.get_by_label("Tokens", exact=True).fill("5")
    button(section, "Complete").click()
    expect(tokens).not_to_have_count(before)
    text = section.get_by_label("Text to complete").input_value()
    assert text.startswith(TEXT)
    [run] = runs_of(visit, "/v1/complete", inputs=text, max_tokens=1)
    expect(tokens).to_have_text(words(run["reads"]))
    visit.check()


def test_encoder_and_decoder_of_a_translation(visit: Visit) -> None:
    section = translated(visit)
    encoder, decoder = runs_of(visit, "/v1/translate", inputs=SENTENCE)
    written, read = words(decoder["writes"]), words(encoder["reads"])
    tokens = section.get_by_role("toolbar", name="The tokens, step by step").get_by_role("button")
    expect(tokens).to_have_text(written)
    tokens.nth(1).click()
    expect(section.locator(".cell-diagram .token-name")).to_have_text(
        f"reads “{words(decoder['reads'])[1]}”, then writes “{written[1]}”"
    )
    check_cell(section, decoder["activations"]["directions"][0], written)
    section.get_by_label("Network").select_option("encoder, which reads the source")
    expect(tokens).to_have_text(read)
    section.get_by_label("Direction").select_option("backward")
    check_cell(section, encoder["activations"]["directions"][1], read)
    expect(section.get_by_label("Layer")).to_have_count(0)  # it has one
    visit.check()


def test_a_word_of_a_caption_moves_attention_and_memory(visit: Visit, picture: Path) -> None:
    visit.go("/")
    section = job(visit, "Caption")
    section.get_by_role("switch", name="Show the memory").check()
    section.get_by_label("Choose an image").set_input_files(picture)
    expect(section.locator(".runs")).to_be_visible()
    files = {"images": ("a.png", picture.read_bytes(), "image/png")}
    data = {"explain": "true", "units": str(UNITS)}
    answer = httpx.post(f"{visit.server}/v1/caption", files=files, data=data)
    [run] = answer.raise_for_status().json()["results"][0]["explanation"]["runs"]
    written = words(run["writes"])
    section.get_by_role("toolbar").get_by_role("button").nth(2).click()
    expect(section.locator(".cell-diagram")).to_have_attribute(
        "aria-label", re.compile(f"at “{re.escape(written[2])}”")
    )
    expect(section.locator("canvas.look")).to_have_attribute("aria-label", re.compile("looks most at"))
    [direction] = run["activations"]["directions"]
    table = cells(section.locator(".runs"), "In numbers, token by token")
    assert [row[0] for row in table] == written
    means = [sum(row) / len(row) for row in direction["hidden"]]
    assert [float(row[1].replace("−", "-")) for row in table] == pytest.approx(means, abs=6e-4)
    visit.check()


def test_a_text_that_is_too_long_has_no_memory_and_says_so(visit: Visit) -> None:
    section = completed(visit, text="- " * 600)
    expect(section.locator(".next button")).to_have_count(10)
    expect(section).to_contain_text("No memory is shown: the answer is too long for it")
    visit.complaints = [one for one in visit.complaints if "422" not in one]  # of the browser, for the refused request
    visit.check()


def test_a_layer_that_the_next_model_lacks_is_forgotten(visit: Visit) -> None:
    """The same switch asks for one layer fewer where the service refuses it."""
    asked_for = visit.beside_modules().evaluate(
        """async () => {
            const { memorySwitch } = await import("/assets/web/memoryswitch.js");
            const { post, textRequest } = await import("/assets/web/requests.js");
            const page = new DOMParser().parseFromString("<input type=checkbox checked>", "text/html");
            const box = page.querySelector("input");
            const memory = memorySwitch(box, () => {});
            memory.choose(1);
            const asked = [];
            const { results } = await memory.asked(() => {
                const options = { explain: true, model: "sentiment-en-uni", ...memory.options(1, 0) };
                asked.push(options.layer);
                return post(textRequest("/v1/sentiment", "a warm film", options));
            });
            return [asked, results[0].explanation.activations.layer];
        }"""
    )
    assert asked_for == [[1, 0], 0]


def test_the_memory_fits_a_narrow_screen_in_korean(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, locale="ko-KR", color_scheme="dark", viewport={"width": 360, "height": 740})
    section = visit.go("/").locator("#translate")
    section.get_by_role("textbox").fill(SENTENCE)
    section.get_by_role("switch").check()
    button(section, "번역하기").click()
    expect(section.get_by_label("신경망")).to_be_visible()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
    for control in section.locator(".runs select, .runs button").all():
        place = control.bounding_box()
        assert place is not None
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 360
        assert min(place["width"], place["height"]) >= 24
    visit.check()
    visit.close()
