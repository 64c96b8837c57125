"""The live panel: it polls only while it is visible, and shows the numbers of the metrics."""

import pytest
from playwright.sync_api import Locator, Request, expect

from tests.service.serving import metric
from tests.web.conftest import Visit
from tests.web.parts import button

pytestmark = pytest.mark.browser


@pytest.fixture
def scrapes(timed: Visit) -> list[str]:
    """The requests for metrics that the page makes."""
    found: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/metrics"):
            found.append(request.url)

    timed.page.on("request", note)
    return found


def panel(visit: Visit) -> Locator:
    return visit.page.locator("#live")


def test_metrics_are_asked_for_while_the_panel_is_open_and_seen(timed: Visit, scrapes: list[str]) -> None:
    page = timed.page
    timed.go("/")
    expect(page.locator("#models article").first).to_be_visible()
    page.clock.run_for(3000)
    assert scrapes == []
    panel(timed).locator("summary").click()
    expect(panel(timed).locator("[data-figure=engines]")).to_have_text("1 of 1")
    with page.expect_request("**/metrics"):
        page.clock.run_for(1100)
    page.evaluate(
        """() => {
            Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.clock.run_for(1100)  # the request that was due
    asked = len(scrapes)
    page.clock.run_for(5000)
    assert len(scrapes) <= asked + 1
    with page.expect_request("**/metrics"):
        page.evaluate("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")
        page.clock.run_for(1100)
    timed.check()


def test_a_crowd_shows_in_the_figures(visit: Visit) -> None:
    visit.go("/")
    panel(visit).locator("summary").click()
    expect(panel(visit).locator("[data-figure=pending]")).to_have_text("0")
    before = metric(visit.server, "unroll_inputs_total")
    button(panel(visit), "Translate 1,000 sentences").click()
    expect(panel(visit).get_by_role("status")).to_contain_text("1,000 sentences in", timeout=60_000)
    assert metric(visit.server, "unroll_inputs_total") >= before + 1000
    for name in ("requests", "tokens", "rows"):
        expect(panel(visit).locator(f"[data-highest={name}]")).not_to_have_text("highest 0.0")
        expect(panel(visit).locator(f"[data-trend={name}] canvas")).to_be_visible()
    visit.check()


def test_rates_and_names(visit: Visit) -> None:
    page = visit.go("/")
    rates = page.evaluate(
        """async () => {
            const { rates } = await import("/assets/web/metrics.js");
            const earlier = { requests: 10, tokens: 100, steps: 4, rows: 20 };
            const later = { requests: 16, tokens: 300, steps: 14, rows: 75 };
            return [rates(earlier, later, 2), rates(later, earlier, 2)];
        }"""
    )
    assert rates == [{"requests": 3, "tokens": 100, "rows": 5.5}, {"requests": 0, "tokens": 0, "rows": 0}]
    now = page.evaluate("import('/assets/web/metrics.js').then(({ figures }) => figures())")
    for figure, name in {
        "steps": "unroll_engine_emit_steps_total",
        "engines": "unroll_engines",
        "slots": "unroll_engine_slots",
    }.items():
        assert now[figure] == metric(visit.server, name)
    assert now["ready"] == 1


def test_rows_are_told_with_how_many_there_could_be(visit: Visit) -> None:
    page = visit.page
    figures = """# TYPE unroll_engine_slots gauge
unroll_engine_slots{engine="0",model="a",version="1"} 32.0
unroll_engine_slots{engine="1",model="b",version="1"} 32.0
unroll_engine_slots_used{engine="0",model="a",version="1"} 30.0
unroll_engine_slots_used{engine="1",model="b",version="1"} 9.0
"""
    page.route("**/metrics", lambda route: route.fulfill(body=figures, content_type="text/plain"))
    visit.go("/")
    panel(visit).locator("summary").click()
    expect(panel(visit).locator("[data-figure=slots]")).to_have_text("now 39 of 64 rows")
    page.get_by_role("button", name="한국어").click()
    expect(panel(visit).locator("[data-figure=slots]")).to_have_text("지금 64행 중 39행")
    visit.check()


def test_who_follows_the_link_sees_the_panel_open(visit: Visit) -> None:
    page = visit.go("/")
    link = page.get_by_role("navigation", name="Sections").get_by_role("link", name="Live")
    for _ in range(2):  # the second time the address stays the same
        expect(panel(visit).locator(".tiles")).to_be_hidden()
        link.click()
        expect(panel(visit).locator(".tiles")).to_be_visible()
        panel(visit).locator("summary").click()
    page.goto("about:blank")
    visit.go("/#live")
    expect(panel(visit).locator("[data-figure=engines]")).to_have_text("1 of 1")
    visit.check()


def test_the_panel_shows_the_reason_of_a_refusal(visit: Visit) -> None:
    problem = {"type": "/problems/overloaded", "title": "The service is overloaded", "status": 429, "detail": "-"}
    visit.page.route("**/metrics", lambda route: route.fulfill(status=429, json=problem))
    visit.go("/#live")
    expect(panel(visit).get_by_role("alert")).to_have_text("The service is overloaded")
    visit.page.get_by_role("button", name="한국어").click()
    expect(panel(visit).get_by_role("alert")).to_have_text("서비스가 과부하 상태입니다")
