"""The language model on the page: next tokens, chosen by a click, and the continuation of a text."""

import json

import pytest
from playwright.sync_api import Locator, expect

from tests.web.conftest import Visit
from tests.web.parts import asked, button, job, percent

pytestmark = pytest.mark.browser
TEXT = "the plot makes"


def opened(visit: Visit) -> tuple[Locator, Locator]:
    visit.go("/")
    section = job(visit, "Language model")
    text = section.get_by_label("Text to complete")
    text.fill(TEXT)
    section.get_by_label("Temperature").fill("0")
    return section, text


def test_the_most_probable_tokens_are_those_of_the_api(visit: Visit) -> None:
    section, _ = opened(visit)
    button(section, "What comes next?").click()
    [result] = asked(visit, "/v1/complete", inputs=TEXT, max_tokens=1, next_tokens=10)
    expect(section.locator(".next .percent")).to_have_text([percent(token["probability"]) for token in result["next"]])
    expect(section.locator(".model")).to_have_text("lm-en/1")
    visit.check()


def test_a_bar_is_as_long_as_its_probability(visit: Visit) -> None:
    section, _ = opened(visit)
    button(section, "What comes next?").click()
    first = section.locator(".next button").first
    share = float((first.locator(".percent").inner_text()).rstrip("%")) / 100
    widths = [part.evaluate("part => part.getBoundingClientRect().width") for part in (first.locator(".share"), first)]
    assert abs(widths[0] / widths[1] - share) < 0.02
    visit.check()


def test_a_token_is_taken_and_taken_back(visit: Visit) -> None:
    section, text = opened(visit)
    button(section, "What comes next?").click()
    [result] = asked(visit, "/v1/complete", inputs=TEXT, max_tokens=1, next_tokens=10)
    at, token = next(
        (at, token["text"]) for at, token in enumerate(result["next"]) if not token["text"].startswith("<")
    )
    section.locator(".next button").nth(at).press("Enter")
    expect(text).to_have_value(TEXT + token)
    [after] = asked(visit, "/v1/complete", inputs=TEXT + token, max_tokens=1, next_tokens=10)
    expect(section.locator(".next .percent")).to_have_text([percent(token["probability"]) for token in after["next"]])
    button(section, "Undo").click()
    expect(text).to_have_value(TEXT)
    expect(button(section, "Undo")).to_be_disabled()
    visit.check()


def test_a_text_is_gone_on_with(visit: Visit) -> None:
    section, text = opened(visit)
    section.get_by_label("Tokens").fill("9")
    button(section, "Complete").click()
    expect(section.locator(".next button").first).to_be_visible()
    [result] = asked(visit, "/v1/complete", inputs=TEXT, max_tokens=9)
    expect(text).to_have_value(TEXT + result["text"])
    visit.check()


def test_the_temperature_is_said_and_sent(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Language model")
    slider, share = section.get_by_label("Temperature"), section.get_by_label("Top-p")
    expect(slider).to_have_attribute("aria-valuetext", "0.7")
    expect(share).to_have_attribute("aria-valuetext", "0.90")
    slider.fill("0")
    expect(slider).to_have_attribute("aria-valuetext", "0: greedy")
    expect(share).to_be_disabled()
    slider.fill("0.8")
    expect(slider).to_have_attribute("aria-valuetext", "0.8")
    with visit.page.expect_request("**/v1/complete") as request:
        button(section, "Complete").click()
    sent = json.loads(request.value.post_data or "")
    assert (sent["temperature"], sent["top_p"]) == (0.8, 0.9)
    expect(section.locator(".next button").first).to_be_visible()
    visit.check()
