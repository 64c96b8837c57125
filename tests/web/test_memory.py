"""Sentiment word by word, its heat maps, and networks side by side: the page shows the results of the API."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Route, expect

from tests.web.conftest import Visit
from tests.web.parts import asked, button, cells, job, percent

pytestmark = pytest.mark.browser
TEXT = "A warm film, but the plot makes no sense."


def words(explanation: dict[str, Any]) -> list[str]:
    """The names of the tokens of `TEXT` on the page."""
    return [TEXT[token["start"] : token["end"]].strip() or "␣" for token in explanation["tokens"]]


def analysed(visit: Visit, *, text: str = TEXT, model: str = "", memory: bool = False) -> Locator:
    """The section of sentiment with the answer to `text`."""
    visit.go("/")
    section = job(visit, "Sentiment")
    section.get_by_label("Text, English or Korean").fill(text)
    if model:
        section.get_by_label("Model").select_option(model)
    if memory:
        section.get_by_role("switch", name="Show the memory").check()
    button(section, "Analyse").click()
    expect(section.locator(".model")).to_have_text(f"{model or 'sentiment-en'}/1")
    return section


def box(place: Locator, part: str) -> FloatRect:
    """The position of a part of the page."""
    found = place.locator(part).bounding_box()
    assert found is not None
    return found


def test_words_and_table_tell_the_probability_after_each_token(visit: Visit) -> None:
    section = analysed(visit)
    explanation = asked(visit, "/v1/sentiment", inputs=TEXT, explain=True)[0]["explanation"]
    tokens = section.get_by_role("toolbar").get_by_role("button")
    expect(tokens).to_have_text(words(explanation))
    positive = [row[explanation["labels"].index("positive")] for row in explanation["probabilities"]]
    for token, share in zip(tokens.all(), positive, strict=True):
        expect(token).to_have_attribute("aria-label", re.compile(rf"positive {re.escape(percent(share))}$"))
        expect(token).to_have_class(re.compile("negative" if share < 0.5 else "positive"))
    assert [row[1:] for row in cells(section)] == [
        [percent(value) for value in row] for row in explanation["probabilities"]
    ]
    visit.check()


def test_arrow_keys_go_through_the_words_and_the_line_follows(visit: Visit) -> None:
    section = analysed(visit)
    first = section.get_by_role("toolbar").get_by_role("button").first
    first.focus()
    visit.page.keyboard.press("ArrowRight")
    second = section.get_by_role("toolbar").get_by_role("button").nth(1)
    expect(second).to_be_focused()
    expect(second).to_have_attribute("aria-pressed", "true")
    expect(section.locator(".readout")).to_have_text(
        re.compile(rf"^{re.escape(second.get_attribute('aria-label') or '')} \(2/")
    )
    mark = section.locator(".u-cursor-x")
    before = mark.evaluate("mark => mark.getBoundingClientRect().x")
    visit.page.keyboard.press("End")
    expect(section.get_by_role("toolbar").get_by_role("button").last).to_be_focused()
    assert mark.evaluate("mark => mark.getBoundingClientRect().x") > before
    visit.page.keyboard.press("Home")
    expect(first).to_be_focused()
    visit.check()


def test_the_mouse_on_the_line_points_at_the_word(visit: Visit) -> None:
    section = analysed(visit)
    count = section.get_by_role("toolbar").get_by_role("button").count()
    plot = box(section, ".u-over")
    visit.page.mouse.move(plot["x"] + plot["width"] * 2.5 / count, plot["y"] + 20)
    expect(section.get_by_role("toolbar").get_by_role("button").nth(2)).to_have_attribute("aria-pressed", "true")
    visit.check()


@pytest.mark.parametrize(
    ("text", "places", "pieces"),
    [
        ("😀 좋다", [(0, 1), (0, 1), (1, 3), (3, 4)], [None, "😀", " 좋", "다"]),
        ("👍🏽 ok", [(0, 1), (0, 1), (1, 2), (1, 2), (2, 5)], [None, None, None, "👍🏽", " ok"]),
        ("e\u0301t", [(0, 0), (0, 1), (2, 3)], ["", "e\u0301", "t"]),
        ("A film.", [(0, 1), (2, 6), (6, 7)], ["A", " film", "."]),
    ],
)
def test_a_character_stands_with_the_last_token_that_has_a_part_of_it(
    visit: Visit, text: str, places: list[tuple[int, int]], pieces: list[str | None]
) -> None:
    shown = visit.beside_modules().evaluate(
        """async ([text, places]) => {
            const { piecesOf } = await import("/assets/web/plots/strip.js");
            return piecesOf(text, places.map(([start, end]) => ({ start, end })));
        }""",
        [text, places],
    )
    assert shown == pieces


def test_all_bytes_of_a_character_are_one_button(visit: Visit) -> None:
    text = "Café 👍🏽 naïve 日本 good"
    section = analysed(visit, text=text)
    tokens = asked(visit, "/v1/sentiment", inputs=text, explain=True)[0]["explanation"]["tokens"]
    buttons = section.get_by_role("toolbar").get_by_role("button")
    shown = buttons.all_inner_texts()
    assert len(shown) < len(tokens)  # some characters have several bytes
    assert "".join(shown).replace("␣", "") == text.replace(" ", "")
    blanks = [
        token for token in tokens if text[token["start"] : token["end"]].isspace() or token["start"] == token["end"]
    ]
    assert shown.count("␣") == len(blanks)
    thumb = buttons.nth(shown.index("👍🏽"))
    thumb.click()
    expect(thumb).to_have_attribute("aria-label", re.compile("after “👍🏽”"))
    last = max(at for at, token in enumerate(tokens) if token["end"] == text.index(" naïve"))
    expect(section.locator(".readout")).to_have_text(re.compile(rf"\({last + 1}/{len(tokens)}\)"))
    expect(section.get_by_role("toolbar").locator("[aria-pressed=true]")).to_have_count(1)
    visit.page.keyboard.press("ArrowLeft")
    expect(buttons.nth(shown.index("👍🏽") - 1)).to_be_focused()
    visit.check()


def test_a_comma_stays_with_its_word(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, viewport={"width": 360, "height": 740})
    section = analysed(visit, text="A warm, funny, slow, long film, and then, well, nothing happens.")
    tops = section.get_by_role("toolbar").evaluate(
        """(root) => [...root.querySelectorAll(".joined")].map((token) =>
            [token, token.previousElementSibling].map((one) => one.getBoundingClientRect().top))"""
    )
    assert tops
    assert all(token == before for token, before in tops)
    visit.close()


@pytest.mark.parametrize(
    ("part", "place"), [("hidden state", "hidden"), ("cell state", "cell"), ("forget gate", "forget")]
)
def test_the_heat_map_tells_what_the_units_did(visit: Visit, part: str, place: str) -> None:
    section = analysed(visit, model="sentiment-en-uni", memory=True)
    section.get_by_label("Show", exact=True).select_option(part)
    section.get_by_label("Sort units by").select_option("number")
    [result] = asked(visit, "/v1/sentiment", inputs=TEXT, model="sentiment-en-uni", explain=True, layer=0)
    [direction] = result["explanation"]["activations"]["directions"]
    rows = direction["gates"][place] if place == "forget" else direction[place]
    heat = section.get_by_role("application")
    heat.focus()
    visit.page.keyboard.press("ArrowDown")  # the first key shows the place
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        visit.page.keyboard.press(key)
    shown = section.locator(".heatmap .readout")
    expect(shown).to_have_text(
        f"{part} of unit 2 at “{words(result['explanation'])[1]}”: {rows[1][2]:.3f}".replace("-", "−")
    )
    expect(section.get_by_role("toolbar").get_by_role("button").nth(1)).to_have_attribute("aria-pressed", "true")
    means = [sum(row) / len(row) for row in rows]
    table = cells(section, "In numbers, token by token")
    assert [row[1].replace("−", "-") for row in table] == [
        f"{abs(mean) if abs(mean) < 5e-4 else mean:.3f}" for mean in means
    ]
    visit.check()


def test_the_colours_of_the_heat_map_have_the_signs_of_the_numbers(visit: Visit) -> None:
    section = analysed(visit, model="sentiment-en-uni", memory=True)
    section.get_by_label("Sort units by").select_option("number")
    [result] = asked(visit, "/v1/sentiment", inputs=TEXT, model="sentiment-en-uni", explain=True, layer=0)
    rows = result["explanation"]["activations"]["directions"][0]["hidden"]
    heat = section.get_by_role("application")
    for token, unit in ((0, 0), (3, 4), (len(rows) - 1, 9)):
        red, green = heat.evaluate(
            """(canvas, [x, y, columns, rows]) => {
                const width = canvas.width - 46 - 10;
                const at = [46 + (x + 0.5) * (width / columns), (y + 0.5) * (200 / rows)];
                return [...canvas.getContext("2d").getImageData(...at, 1, 1).data];
            }""",
            [token, unit, len(rows), len(rows[0])],
        )[:2]
        if abs(rows[token][unit]) > 0.05:
            assert (green > red) == (rows[token][unit] > 0)
    visit.check()


def test_both_directions_can_be_chosen(visit: Visit) -> None:
    section = analysed(visit, memory=True)
    expect(section).to_contain_text("reads in both directions")
    section.get_by_label("Sort units by").select_option("number")
    section.get_by_label("Direction").select_option("backward")
    [result] = asked(visit, "/v1/sentiment", inputs=TEXT, explain=True, layer=0)
    backward = result["explanation"]["activations"]["directions"][1]["hidden"]
    section.get_by_role("application").focus()
    visit.page.keyboard.press("ArrowDown")
    expect(section.locator(".heatmap .readout")).to_contain_text(f"{backward[0][0]:.3f}".replace("-", "−"))
    visit.check()


def test_networks_side_by_side(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "RNN, GRU and LSTM on the same text")
    names = ["sentiment-en", "sentiment-en-uni"]
    section.get_by_label("Text").fill(TEXT)
    button(section, "Compare").click()
    expect(section.locator(".legend .model")).to_have_text(names)
    results = [asked(visit, "/v1/sentiment", inputs=TEXT, model=name, explain=True)[0] for name in names]
    lines = [[row[1] for row in result["explanation"]["probabilities"]] for result in results]
    expect(section.locator(".legend strong")).to_have_text([percent(line[-1]) for line in lines])
    expect(section.locator(".legend .label")).to_have_text([result["label"] for result in results])
    section.get_by_role("toolbar").get_by_role("button").nth(1).click()
    expect(section.locator(".legend strong")).to_have_text([percent(line[1]) for line in lines])
    expect(section.locator(".legend .label")).to_have_text(
        ["negative" if line[1] < 0.5 else "positive" for line in lines]
    )
    assert [row[1:] for row in cells(section)] == [
        [percent(value) for value in pair] for pair in zip(*lines, strict=True)
    ]
    visit.check()


def test_nothing_is_compared_before_the_models_are_known(visit: Visit) -> None:
    held: list[Route] = []
    visit.page.route("**/v1/models", lambda route: held.append(route))
    visit.go("/")
    section = job(visit, "RNN, GRU and LSTM on the same text")
    section.get_by_label("Text").fill(TEXT)
    for one in section.locator("form button").all():
        expect(one).to_be_disabled()
    while not held:
        visit.page.wait_for_timeout(10)
    held[0].continue_()
    button(section, "Compare").click()
    expect(section.locator(".legend li")).to_have_count(2)
    visit.check()


def test_a_network_can_be_left_out_of_the_comparison(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "RNN, GRU and LSTM on the same text")
    expect(section).to_contain_text("They differ in more than the cell.")
    section.get_by_label("Text").fill(TEXT)
    section.get_by_role("checkbox", name="sentiment-en", exact=True).uncheck()
    button(section, "Compare").click()
    expect(section.locator(".legend .model")).to_have_text(["sentiment-en-uni"])
    section.get_by_role("checkbox", name="sentiment-en-uni").uncheck()
    button(section, "Compare").click()
    expect(section).to_contain_text("Choose at least one network.")
    visit.check()


def test_on_a_narrow_screen_number_and_label_stand_together(browser: Browser, server: str) -> None:
    for locale, run in (("en-US", "Compare"), ("ko-KR", "비교하기")):
        visit = Visit.apart(browser, server, locale=locale, viewport={"width": 360, "height": 740})
        section = visit.go("/").locator("#compare")
        section.get_by_role("textbox").fill(TEXT)
        button(section, run).click()
        expect(section.locator(".legend li")).to_have_count(2)
        for entry in section.locator(".legend li").all():
            name, number, label = (box(entry, part) for part in (".model", "strong", ".label"))
            assert abs(number["y"] + number["height"] / 2 - label["y"] - label["height"] / 2) < 2
            assert number["x"] >= name["x"]  # not below the sample of the line
        visit.close()


def test_words_stand_out_from_their_card_in_the_dark(browser: Browser, server: str) -> None:
    for scheme in ("light", "dark"):
        visit = Visit.apart(browser, server, color_scheme=scheme)
        section = visit.go("/").locator("#compare")
        section.get_by_role("textbox").fill(TEXT)
        button(section, "Compare").click()
        grounds = section.locator(".token").first.evaluate(
            """(token) => [token, document.querySelector("#compare")].map((one) =>
                getComputedStyle(one).backgroundColor.match(/\\d+/g).map(Number))"""
        )
        assert all(abs(chip - card) >= 16 for chip, card in zip(*grounds, strict=True)), grounds
        visit.close()


def test_labels_below_a_heat_map_do_not_touch_its_scale(visit: Visit) -> None:
    section = analysed(visit, text="It begins like a masterpiece", model="sentiment-en-uni", memory=True)
    plot, scale = box(section, ".heatmap"), box(section, ".scale")
    assert scale["y"] - plot["y"] - plot["height"] >= 8


def test_the_cell_shows_the_means_of_its_gates_while_one_walks_along(visit: Visit) -> None:
    section = analysed(visit, model="sentiment-en-uni", memory=True)
    diagram = section.locator(".cell-diagram")
    expect(diagram).to_have_attribute("aria-label", re.compile("at the current token"))
    section.get_by_role("toolbar").get_by_role("button").nth(2).click()
    [result] = asked(visit, "/v1/sentiment", inputs=TEXT, model="sentiment-en-uni", explain=True, layer=0)
    gates = result["explanation"]["activations"]["directions"][0]["gates"]
    means = {name: sum(abs(value) for value in rows[2]) / len(rows[2]) for name, rows in gates.items()}
    expect(diagram).to_have_attribute("aria-label", re.compile(f"at “{words(result['explanation'])[2]}”"))
    for name, mean in means.items():
        shown = f"{name} {mean:.2f}" if name == "candidate" else f"{name} gate {mean:.2f}"
        expect(diagram).to_have_attribute("aria-label", re.compile(re.escape(shown)))
    visit.check()


def test_memories_side_by_side_share_the_word(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "RNN, GRU and LSTM on the same text")
    section.get_by_label("Text").fill(TEXT)
    section.get_by_role("switch", name="Show the memories").check()
    button(section, "Compare").click()
    expect(section.locator(".memories .model")).to_have_text(["sentiment-en", "sentiment-en-uni"])
    expect(section.get_by_role("application")).to_have_count(2)
    section.get_by_role("toolbar").get_by_role("button").nth(1).click()
    [result] = asked(visit, "/v1/sentiment", inputs=TEXT, model="sentiment-en", explain=True)
    for diagram in section.locator(".cell-diagram").all():
        expect(diagram).to_have_attribute("aria-label", re.compile(f"at “{words(result['explanation'])[1]}”"))
    visit.check()
