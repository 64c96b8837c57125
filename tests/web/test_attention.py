"""The attention of captions and translations: the page shows the weights of the API."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, expect

from tests.web.conftest import Visit
from tests.web.parts import asked, button, cells, job, percent

pytestmark = pytest.mark.browser


@pytest.fixture
def looked(timed: Visit, picture: Path) -> tuple[Locator, dict[str, Any]]:
    """The section of captions with the answer to the orange picture, and the attention of the API."""
    timed.go("/")
    section = job(timed, "Caption")
    section.get_by_label("Choose an image").set_input_files(picture)
    expect(section.locator(".model")).to_be_visible()
    files = {"images": ("a.png", picture.read_bytes(), "image/png")}
    answer = httpx.post(f"{timed.server}/v1/caption", files=files, data={"attention": "true"})
    return section, answer.raise_for_status().json()["results"][0]["attention"]


def words(attention: dict[str, Any]) -> list[str]:
    return ["(end)" if token == "<eos>" else token.strip() or "␣" for token in attention["target"]]


def test_a_word_darkens_the_picture_where_it_does_not_look(
    timed: Visit, looked: tuple[Locator, dict[str, Any]]
) -> None:
    section, attention = looked
    tokens = section.get_by_role("toolbar").get_by_role("button")
    expect(tokens).to_have_text(words(attention))
    canvas = section.locator("canvas.look")
    expect(canvas).to_have_attribute("aria-label", "The image without darkening")
    tokens.nth(1).click()
    weights = attention["weights"][1]
    places = [(weights[row][column], column, row) for row in range(len(weights)) for column in range(len(weights[0]))]
    red = "(canvas, [x, y]) => canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data[0]"
    brightness = [
        canvas.evaluate(
            red,
            [(column + 0.5) / len(weights[0]), (row + 0.5) / len(weights)],
        )
        for _, column, row in (min(places), max(places))
    ]
    assert brightness[0] < brightness[1]
    expect(canvas).to_have_attribute("aria-label", tokens.nth(1).get_attribute("aria-label") or "")
    assert len(cells(section)) == len(attention["target"])
    timed.check()


def test_words_are_played_one_after_the_other(timed: Visit, looked: tuple[Locator, dict[str, Any]]) -> None:
    section, attention = looked
    tokens = section.get_by_role("toolbar").get_by_role("button")
    button(section, "Play").click()
    expect(tokens.nth(0)).to_have_attribute("aria-pressed", "true")
    timed.page.clock.run_for(700)
    expect(tokens.nth(1)).to_have_attribute("aria-pressed", "true")
    button(section, "Pause").click()
    timed.page.clock.run_for(2000)
    expect(tokens.nth(1)).to_have_attribute("aria-pressed", "true")
    button(section, "Play").click()
    timed.page.clock.run_for(700 * len(attention["target"]))
    expect(tokens.last).to_have_attribute("aria-pressed", "true")
    expect(button(section, "Play")).to_be_visible()
    timed.check()


def test_a_translation_grows_while_it_is_streamed(visit: Visit) -> None:
    page = visit.go("/")
    section = job(visit, "Translate")
    page.evaluate(
        """() => {
            window.seen = [];
            const results = document.querySelector("#translate .results");
            const note = () => window.seen.push(results.querySelector(".growing")?.textContent);
            new MutationObserver(note).observe(results, { childList: true, subtree: true, characterData: true });
        }"""
    )
    with page.expect_request("**/v1/translate") as request:
        button(section, "Translate").click()
    expect(section.locator(".model")).to_have_text("translate-en-ko/1")
    assert json.loads(request.value.post_data or "")["stream"] is True
    text = section.locator(".sentence").inner_text()
    grown = [seen for seen in page.evaluate("window.seen") if seen]
    assert len(grown) > 1
    assert all(later.startswith(earlier) for earlier, later in zip(grown, [*grown[1:], text], strict=True))
    visit.check()


def test_matrices_of_many_lines_are_folded(visit: Visit) -> None:
    lines = [f"Open the file {number}" for number in range(24)]
    visit.go("/")
    section = job(visit, "Translate")
    section.get_by_label("English, one sentence per line").fill("\n".join(lines))
    button(section, "Translate").click()
    expect(section.locator(".result details")).to_have_count(len(lines))
    expect(section.locator(".heatmap")).to_have_count(0)
    section.locator(".result").nth(3).get_by_text("Alignment").click()
    expect(section.locator(".heatmap")).to_have_count(1)
    section.get_by_label("English, one sentence per line").fill("\n".join(lines[:20]))
    button(section, "Translate").click()
    expect(section.locator(".heatmap")).to_have_count(20)
    visit.check()


def test_the_alignment_is_that_of_the_api(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Translate")
    section.get_by_label("English, one sentence per line").fill("Open the file")
    button(section, "Translate").click()
    matrix = section.get_by_role("application")
    matrix.focus()
    attention = asked(visit, "/v1/translate", inputs="Open the file", attention=True)[0]["attention"]
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):  # the first key shows the place
        visit.page.keyboard.press(key)
    target, source = attention["target"][1].strip() or "␣", attention["source"][1]["text"].strip() or "␣"
    told = f"“{target}” looks at “{source}”: {percent(attention['weights'][1][1])}"
    expect(section.locator(".heatmap .readout")).to_have_text(told)
    expected = [[percent(weight, 0) for weight in row] for row in attention["weights"]]
    assert [row[1:] for row in cells(section)] == expected
    visit.check()
