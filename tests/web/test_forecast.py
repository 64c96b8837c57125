"""Forecasts on the page: the numbers of the API, windows at the pointer, points that are dragged, files."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, Route, expect

from app.api.pages import WEB_ASSETS
from tests.conftest import serving_store
from tests.web.conftest import Visit, visiting
from tests.web.parts import button, cells, job

pytestmark = pytest.mark.browser
EXAMPLE = (WEB_ASSETS / "example-weather.csv").read_text(encoding="utf8")
TABLE = "Numbers as a table"
STATEFUL = "temperature;wind\n" + "".join(f"{10 + step % 4},5;{step % 3}\n" for step in range(12))


@pytest.fixture(scope="module")
def number_server(number_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of one forecaster of each kind, with a small limit of steps."""
    with serving_store(number_store, tmp_path_factory.mktemp("engine"), max_series_steps=500) as address:
        yield address


@pytest.fixture
def number_visit(page: Page, number_server: str) -> Iterator[Visit]:
    with visiting(page, number_server) as visit:
        yield visit


def forecast(visit: Visit, text: str = "") -> Locator:
    """The section, with the answer to a text."""
    visit.go("/")
    section = job(visit, "Forecast")
    expect(section.get_by_label("Numbers as CSV")).to_have_value(re.compile("\n"))
    if text:
        section.get_by_label("Numbers as CSV").fill(text)
    button(section, "Forecast").click()
    expect(section.locator(".model")).to_be_visible()
    return section


def result_of(visit: Visit, text: str, **options: Any) -> dict[str, Any]:
    answer = httpx.post(
        f"{visit.server}/v1/forecast",
        params=options,
        content=text.encode(),
        headers={"Content-Type": "text/csv"},
        timeout=100,
    )
    [result] = answer.raise_for_status().json()["results"]
    return dict(result)


def text_of(section: Locator) -> str:
    return section.get_by_label("Numbers as CSV").input_value()


def shown(value: float, digits: int = 2) -> str:
    text = f"{abs(value):.{digits}f}"
    return ("−" if value < 0 and float(text) else "") + text


def plot(section: Locator, name: str) -> Locator:
    """The panel of a column."""
    return section.get_by_role("application", name=re.compile(f"^{name}: "))


def point(section: Locator, name: str, row: int) -> tuple[float, float]:
    """Where the point of a row is in the window."""
    plot(section, name).scroll_into_view_if_needed()
    box = plot(section, name).locator("circle.point:not(.next)").nth(row).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def line(section: Locator, name: str, kind: str) -> str | None:
    return plot(section, name).locator(f"path.{kind}").get_attribute("d")


def drag(visit: Visit, section: Locator, name: str, row: int, *, down: float, steps: int = 1) -> None:
    x, y = point(section, name, row)
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x, y + down, steps=steps)
    visit.page.mouse.up()


def number_at(text: str, row: int, name: str) -> float:
    header, *rows = text.split()
    return float(rows[row].split(",")[header.split(",").index(name)])


def test_the_line_of_the_example_continues_as_the_forecast(visit: Visit) -> None:
    section = forecast(visit)
    assert text_of(section) == EXAMPLE
    result = result_of(visit, EXAMPLE)
    assert cells(section) == [
        [f"+{step + 1}", *(shown(value) for value in row)] for step, row in enumerate(result["values"])
    ]
    for name in ("temp_max", "temp_min", "precipitation", "wind"):
        expect(plot(section, name).locator("circle.point:not(.next)")).to_have_count(60)
        expect(plot(section, name).locator("circle.next")).to_have_count(3 if name.startswith("temp") else 0)
    last = plot(section, "temp_max").locator("circle.point:not(.next)").last
    x, y = (float(last.get_attribute(side) or "") for side in ("cx", "cy"))
    start = [float(number) for number in re.findall(r"[\d.]+", line(section, "temp_max", "next") or "")[:2]]
    assert start == pytest.approx([x, y], abs=0.11)  # the forecast begins at the last point
    visit.check()


def test_a_window_is_shown_at_the_pointer(visit: Visit) -> None:
    section = forecast(visit)
    x, y = point(section, "temp_max", 20)
    visit.page.mouse.move(x, y)
    band = plot(section, "wind").locator("rect.window")
    expect(band).to_have_count(1)
    slot = (plot(section, "wind").evaluate("image => image.clientWidth") - 56) / 63
    assert float(band.get_attribute("width") or "") == pytest.approx(6 * slot, rel=0.01)
    assert float(band.get_attribute("x") or "") == pytest.approx(46 + 15 * slot, rel=0.01)
    lines = EXAMPLE.split("\n")
    alone = result_of(visit, "\n".join([lines[0], *lines[16:22]]))
    told = section.locator(".forecast > .readout")
    expect(told).to_contain_text("2015-05-22: temp_max 16.7, temp_min 11.7, precipitation 0.0, wind 3.7.")
    values = "; ".join(
        f"{name} {', '.join(shown(row[at], 1) for row in alone['values'])}" for at, name in enumerate(alone["targets"])
    )
    expect(told).to_contain_text(f"Forecast from 2015-05-17 to 2015-05-22: {values}.")
    expect(plot(section, "temp_max").locator("path.then")).to_have_count(1)
    visit.page.mouse.move(0, 0)
    expect(band).to_have_count(0)
    visit.check()


def test_a_dragged_point_changes_the_text_and_the_forecast(visit: Visit) -> None:
    section = forecast(visit)
    before, after_line = line(section, "temp_min", "next"), "path.before"
    expect(button(section, "Undo changes")).to_be_disabled()
    expect(plot(section, "temp_max").locator(after_line)).to_have_count(0)
    drag(visit, section, "temp_max", 59, down=-25, steps=8)
    expect(plot(section, "temp_max").locator(after_line)).to_have_count(1)
    text = text_of(section)
    assert number_at(text, 59, "temp_max") > number_at(EXAMPLE, 59, "temp_max") + 1
    assert text.replace(text.split()[-1], EXAMPLE.split()[-1]) == EXAMPLE  # and nothing else
    result = result_of(visit, text)
    expect(plot(section, "temp_min").locator("path.next")).not_to_have_attribute("d", before or "")
    section.get_by_text(TABLE).click()
    expect(section.locator("tbody td").first).to_have_text(shown(result["values"][0][0]))
    button(section, "Undo changes").click()
    expect(section.get_by_label("Numbers as CSV")).to_have_value(EXAMPLE)
    expect(plot(section, "temp_max").locator(after_line)).to_have_count(0)
    expect(button(section, "Undo changes")).to_be_disabled()
    visit.check()


def test_arrow_keys_move_a_point(visit: Visit) -> None:
    section = forecast(visit)
    plot(section, "wind").focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp"):
        visit.page.keyboard.press(key)
    rows = [number_at(text_of(section), row, "wind") - number_at(EXAMPLE, row, "wind") for row in (57, 58, 59)]
    assert rows[0] == rows[2] == 0
    assert rows[1] > 0
    expect(plot(section, "wind")).to_be_focused()
    expect(section.locator(".forecast > .readout")).to_contain_text(f"wind {number_at(text_of(section), 58, 'wind')}")
    visit.page.keyboard.press("Home")
    visit.page.keyboard.press("Shift+ArrowDown")
    assert number_at(text_of(section), 0, "wind") < number_at(EXAMPLE, 0, "wind")
    visit.check()


def test_while_a_request_runs_only_the_latest_change_waits(visit: Visit) -> None:
    section = forecast(visit)
    held: list[Route] = []
    sent: list[str] = []

    def note(request: Request) -> None:
        if "windows" in request.url:
            sent.append(request.post_data or "")

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    visit.page.on("request", note)
    visit.page.route("**/v1/forecast*windows*", hold_the_first)
    plot(section, "wind").focus()
    for _ in range(6):
        visit.page.keyboard.press("ArrowUp")
    while not held:
        visit.page.wait_for_timeout(10)
    held[0].continue_()
    result = result_of(visit, text_of(section))
    section.get_by_text(TABLE).click()
    expect(section.locator("tbody td").first).to_have_text(shown(result["values"][0][0]))
    assert len(sent) == 2
    assert sent[-1] == text_of(section)
    visit.page.remove_listener("request", note)


def test_a_refused_change_is_told_beside_the_lines(visit: Visit) -> None:
    section = forecast(visit)
    problem = {"type": "https://unroll.dev/rate-limited", "title": "Limited", "detail": "retry in 3 s", "status": 429}
    visit.page.route("**/v1/forecast*", lambda route: route.fulfill(status=429, json=problem))
    plot(section, "wind").focus()
    visit.page.keyboard.press("ArrowUp")
    expect(section.locator(".forecast > .readout")).to_have_text("A limit of the caller is exceeded: retry in 3 s")
    expect(plot(section, "wind")).to_be_focused()


@pytest.mark.parametrize("language", ["English", "한국어"])
def test_a_point_of_a_narrow_page_stays_under_the_pointer(browser: Browser, server: str, language: str) -> None:
    """The readout above the charts says more at the pointer, in several lines."""
    visit = Visit.apart(browser, server, viewport={"width": 400, "height": 900})
    visit.go("/")
    visit.page.get_by_role("button", name=language).click()
    section = visit.page.locator("#forecast")
    expect(section.locator("textarea")).to_have_value(re.compile("\n"))
    section.locator("button[type=submit]").click()
    expect(section.locator(".model")).to_be_visible()
    readout = section.locator(".forecast > .readout")
    height = readout.evaluate("one => one.clientHeight")
    drag(visit, section, "temp_max", 59, down=1)
    assert readout.evaluate("one => one.clientHeight") == height
    first, numbers = number_at(EXAMPLE, 59, "temp_max"), section.locator("textarea")
    assert number_at(numbers.input_value(), 59, "temp_max") == pytest.approx(first, abs=0.5)  # a pixel
    drag(visit, section, "temp_max", 59, down=20, steps=4)
    assert number_at(numbers.input_value(), 59, "temp_max") < first - 1
    visit.check()
    visit.close()


def test_empty_numbers_are_not_sent(visit: Visit) -> None:
    section = forecast(visit)
    section.get_by_label("Numbers as CSV").fill(" ")
    button(section, "Forecast").click()
    expect(section.get_by_role("alert")).to_contain_text("Write numbers first, or choose a CSV.")


def test_the_language_changes_what_a_dragged_point_has_shown(visit: Visit) -> None:
    section = forecast(visit)
    drag(visit, section, "temp_max", 58, down=20, steps=3)
    expect(plot(section, "temp_max").locator("path.before")).to_have_count(1)
    text = text_of(section)
    visit.page.get_by_role("button", name="한국어").click()
    here = visit.page.locator("#forecast")
    expect(here.get_by_role("heading", name="예측", exact=True)).to_be_visible()
    expect(here.locator("path.before")).to_have_count(2)
    expect(here.locator("textarea")).to_have_value(text)
    expect(here.get_by_role("button", name="바꾼 값 되돌리기")).to_be_enabled()
    visit.check()


def test_hidden_states_below_the_rows(visit: Visit) -> None:
    section = forecast(visit)
    windows = result_of(visit, EXAMPLE, windows=True, stride=1, states=True)["windows"]
    states = [*windows[0]["states"][:-1], *(window["states"][-1] for window in windows)]
    order = sorted(range(len(states[0])), key=lambda unit: -states[-1][unit])
    heat = section.get_by_role("application", name=re.compile("^Hidden state of 8 units"))
    heat.focus()
    for key in ("ArrowDown", "End"):
        visit.page.keyboard.press(key)
    told = section.locator(".heatmap .readout")
    expect(told).to_have_text("no state at +3")
    for _ in range(3):
        visit.page.keyboard.press("ArrowLeft")
    expect(told).to_have_text(f"hidden state of unit {order[0]} at “2015-06-30”: {shown(states[-1][order[0]], 3)}")
    visit.page.keyboard.press("Home")
    expect(told).to_have_text(f"hidden state of unit {order[0]} at “2015-05-02”: {shown(states[0][order[0]], 3)}")
    visit.check()


def test_the_error_of_past_windows(visit: Visit) -> None:
    """The numbers of the service."""
    section = forecast(visit)
    result = result_of(visit, EXAMPLE, windows=True, stride=1)
    error, persistence = (
        result[name]["temp_max"] for name in ("mean_absolute_error", "persistence_mean_absolute_error")
    )
    facts = section.locator(".facts").first
    expect(facts).to_contain_text("mean absolute error in 54 past windows")
    expect(facts).to_contain_text(f"temp_max {error:.2f} (if the last number is repeated: {persistence:.2f})")
    visit.check()


def test_a_file_that_is_chosen_before_the_models_are_known(visit: Visit) -> None:
    held: list[Route] = []
    visit.page.route("**/v1/models", lambda route: held.append(route))
    visit.go("/")
    section = job(visit, "Forecast")
    file = FilePayload(name="days.csv", mimeType="text/csv", buffer=EXAMPLE.encode())
    section.get_by_label("Choose a CSV file").set_input_files(file)
    expect(section.locator(".model")).to_be_visible()
    expect(plot(section, "temp_min")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(plot(section, "temp_min")).to_be_visible()
    drag(visit, section, "temp_min", 57, down=15)
    expect(button(section, "Undo changes")).to_be_enabled()
    visit.check()


def test_a_chosen_file_with_decimal_commas(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Forecast")
    expect(section.get_by_label("Numbers as CSV")).to_have_value(EXAMPLE)
    header, *rows = EXAMPLE.split()
    semicolons = [header.replace(",", ";"), *(row.replace(",", ";").replace(".", ",") for row in [*rows, *rows])]
    content = "\r\n".join(line[11:] if line[:2] == "20" else line.partition(";")[2] for line in semicolons)
    file = FilePayload(name="Seattle.csv", mimeType="text/csv", buffer=b"\xef\xbb\xbf" + content.encode())
    section.get_by_label("Choose a CSV file").set_input_files(file)
    expect(section.locator(".model")).to_be_visible()
    expect(section).to_contain_text("Seattle.csv: the last 60 of 120 rows")
    plain = result_of(visit, EXAMPLE)
    assert [row[1:] for row in cells(section)] == [[shown(value) for value in row] for row in plain["values"]]
    drag(visit, section, "temp_min", 57, down=15)
    changed = text_of(section).split()[58].split(";")
    assert re.fullmatch(r"-?\d+,\d", changed[2])
    visit.check()


def test_a_dropped_file(visit: Visit) -> None:
    visit.go("/")
    section = job(visit, "Forecast")
    expect(section.get_by_label("Numbers as CSV")).to_have_value(EXAMPLE)
    visit.page.evaluate(
        """(text) => {
            const data = new DataTransfer();
            data.items.add(new File([text], "days.csv", { type: "text/csv" }));
            const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
            document.querySelector("#forecast textarea").dispatchEvent(drop);
        }""",
        "\n".join(EXAMPLE.split("\n")[:9]),
    )
    expect(section).to_contain_text("days.csv: 8 rows")
    expect(section.locator(".model")).to_be_visible()
    expect(plot(section, "wind").locator("circle")).to_have_count(8)
    visit.check()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("date,precipitation,temp_max,temp_min,wind\n2015-01-01,1,2,3,4\n", "An input is too short"),
        ("temp,wind\n1,2\n", "A series cannot be read"),
        (EXAMPLE.replace("8.9", "warm").replace("7.8", "warm"), r"A series cannot be read.*line \d+.*warm"),
    ],
)
def test_what_cannot_be_read_is_told(visit: Visit, text: str, told: str) -> None:
    visit.go("/")
    section = job(visit, "Forecast")
    expect(section.get_by_label("Numbers as CSV")).to_have_value(EXAMPLE)
    section.get_by_label("Numbers as CSV").fill(text)
    button(section, "Forecast").click()
    expect(section.get_by_role("alert")).to_have_text(re.compile(told))
    button(section, "Use the example").click()
    expect(section.locator(".model")).to_be_visible()


def test_a_text_that_was_typed_meanwhile_is_sent(visit: Visit) -> None:
    section = forecast(visit)
    text = "\n".join(EXAMPLE.split("\n")[:21])
    section.get_by_label("Numbers as CSV").fill(text)
    drag(visit, section, "temp_max", 50, down=20)
    expect(plot(section, "wind").locator("circle")).to_have_count(20)
    expect(section.get_by_label("Numbers as CSV")).to_have_value(text)
    visit.check()


def test_of_a_long_text_that_is_pasted_the_last_rows_are_kept(visit: Visit) -> None:
    section = forecast(visit)
    header, *rows = EXAMPLE.split()
    section.get_by_label("Numbers as CSV").evaluate(
        """(area, text) => {
            area.value = text; // the browser takes minutes to type as much
            area.dispatchEvent(new InputEvent("input", { bubbles: true }));
        }""",
        "\n".join([header, *(rows * 100)]),
    )
    expect(section).to_contain_text("pasted text: the last 60 of 6000 rows")
    expect(section.get_by_label("Numbers as CSV")).to_have_value(EXAMPLE)
    visit.check()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_commands_give_the_answer_of_the_page(visit: Visit) -> None:
    section = forecast(visit)
    command = section.locator("code").text_content() or ""
    ran = subprocess.run(command, shell=True, capture_output=True, check=True, timeout=100)
    first, end = json.JSONDecoder().raw_decode(ran.stdout.decode())
    second = json.loads(ran.stdout.decode()[end:])
    [result], [cut] = first["results"], second["results"]
    assert [row[1:] for row in cells(section)] == [[shown(value) for value in row] for row in result["values"]]
    assert len(cut["windows"]) == 55
    visit.check()


def test_a_forecast_of_any_length(number_visit: Visit) -> None:
    visit = number_visit
    visit.go("/")
    section = job(visit, "Forecast")
    expect(button(section, "Use the example")).to_be_hidden()
    section.get_by_label("Model").select_option("forecast-state")
    text = STATEFUL.replace("12,5;2", ";2", 1)  # a missing number, which the model fills
    section.get_by_label("Numbers as CSV").fill(text)
    section.get_by_label("Steps ahead").fill("9")
    button(section, "Forecast").click()
    expect(section.locator(".model")).to_have_text("forecast-state/1")
    result = result_of(visit, text, model="forecast-state", horizon=9, states=True)
    assert [row[1:] for row in cells(section)] == [
        [shown(value, 2 - at) for at, value in enumerate(row)] for row in result["values"]
    ]
    expect(plot(section, "temperature").locator("circle.point:not(.next)")).to_have_count(11)
    expect(plot(section, "wind").locator("circle.point:not(.next)")).to_have_count(12)
    assert (line(section, "temperature", "past") or "").count("M") == 2
    expect(section).to_contain_text("the hidden state after all rows up to it")
    drag(visit, section, "wind", 3, down=-60)
    expect(plot(section, "wind").locator("path.before")).to_have_count(1)
    visit.check()


@pytest.mark.parametrize("model", ["forecast-tiny", "forecast-state", "forecast-window", "forecast-decoder"])
def test_every_kind_of_forecaster_begins_with_its_columns(number_visit: Visit, model: str) -> None:
    visit = number_visit
    visit.go("/")
    section = job(visit, "Forecast")
    section.get_by_label("Model").select_option(model)
    header = text_of(section)
    section.get_by_label("Numbers as CSV").fill(header + f"{','.join(['1.5'] * len(header.split(',')))}\n" * 8)
    button(section, "Forecast").click()
    expect(section.locator(".model")).to_have_text(f"{model}/1")
    expect(section.locator(".panel")).to_have_count(len(header.split(",")))
    visit.check()


def test_a_finger_drags_a_point_and_does_not_scroll(browser: Browser, server: str) -> None:
    visit = Visit.apart(browser, server, viewport={"width": 360, "height": 740}, has_touch=True)
    section = forecast(visit)
    x, y = point(section, "temp_max", 59)
    session = visit.page.context.new_cdp_session(visit.page)
    for kind, at in (
        ("touchStart", [(x, y)]),
        ("touchMove", [(x, y - 12)]),
        ("touchMove", [(x, y - 24)]),
        ("touchEnd", []),
    ):
        points = [{"x": across, "y": down} for across, down in at]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(plot(section, "temp_max").locator("path.before")).to_have_count(1)
    assert number_at(text_of(section), 59, "temp_max") > number_at(EXAMPLE, 59, "temp_max")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    visit.check()
    visit.close()
