"""Request ids and times in response headers."""

import logging
import re

import httpx
import pytest

from app.api.middleware.request_log import RequestLog
from app.api.refusal_report import RefusalReport
from app.log_output import LOG_OUTPUT
from app.logs import request_logger, set_up_logging
from app.main import create_app
from app.metrics import Metrics
from app.request_context import context_of
from app.settings import Settings
from tests.conftest import serving

SENTIMENT, TRANSLATE = "/v1/sentiment", "/v1/translate"
NEW_ID = re.compile("[0-9a-f]{32}")


def timing(answer: httpx.Response) -> dict[str, float]:
    """The parts of Server-Timing in milliseconds."""
    parts = (part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    return {name: float(value) for name, value in parts}


def test_the_callers_id_comes_back_and_others_get_a_new_one(http: httpx.Client) -> None:
    named = http.post(SENTIMENT, json={"inputs": "a film"}, headers={"x-request-id": "job-7/part:3"})
    assert named.headers["x-request-id"] == "job-7/part:3"
    ids = [http.post(SENTIMENT, json={"inputs": "a film"}).headers["x-request-id"] for _ in range(3)]
    assert all(NEW_ID.fullmatch(name) for name in ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize("name", ["", "x" * 129, "two words", 'a"b', "<script>", "-x", "a;b"])
def test_an_id_that_is_not_sane_is_replaced(http: httpx.Client, name: str) -> None:
    assert NEW_ID.fullmatch(http.get("/healthz", headers={"x-request-id": name}).headers["x-request-id"])


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/nowhere", b"{}", 404),
        ("/healthz", b"{}", 405),
        (SENTIMENT, b"{", 400),
        (SENTIMENT, b'{"inputs": ""}', 422),
        (SENTIMENT, b'{"inputs": "' + b"x" * 3_000_000 + b'"}', 413),
        ("/hf/translation/none", b'{"inputs": "x"}', 404),
    ],
)
def test_errors_are_named_and_timed_too(http: httpx.Client, path: str, content: bytes, status: int) -> None:
    headers = {"x-request-id": "mine", "content-type": "application/json"}
    answer = http.post(path, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get_list("x-request-id") == ["mine"]
    assert timing(answer).keys() == {"total"}


def test_parts_of_the_time_are_told(http: httpx.Client) -> None:
    label = timing(http.post(SENTIMENT, json={"inputs": ["a film", "a plot"]}))
    assert label.keys() == {"queue", "consume", "total"}
    sentence = timing(http.post(TRANSLATE, json={"inputs": "save the file", "min_tokens": 50, "max_tokens": 50}))
    assert sentence.keys() == {"queue", "consume", "emit", "total"}
    assert 0 < sentence["emit"] < sentence["total"]
    assert sum(sentence[part] for part in ("queue", "consume", "emit")) <= sentence["total"]


def test_a_stream_is_named_in_its_head(http: httpx.Client) -> None:
    body = {"inputs": "save the file", "stream": True}
    with http.stream("POST", TRANSLATE, json=body, headers={"x-request-id": "s-1"}) as answer:
        assert answer.headers["x-request-id"] == "s-1"
        assert timing(answer).keys() == {"total"}
        answer.read()


def test_refusals_and_failures_of_the_service_are_named_too() -> None:
    app = create_app(Settings(), engines=["ipc:///nowhere/at/all"])

    async def broken() -> None:
        raise RuntimeError("a fault")

    app.add_api_route("/broken", broken)
    with serving(app) as address:
        headers = {"x-request-id": "mine"}
        refused = httpx.post(f"{address}{SENTIMENT}", json={"inputs": "a film"}, headers=headers)
        failed = httpx.get(f"{address}/broken", headers=headers)
    for answer, status in ((refused, 503), (failed, 500)):
        assert answer.status_code == status
        assert answer.headers["x-request-id"] == "mine"
        assert "total" in timing(answer)


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("value", [f"00-{TRACE}-{SPAN}-01", f"01-{TRACE}-{SPAN}-01-and-more"])
def test_a_traceparent_is_read(value: str) -> None:
    caller = context_of([(b"traceparent", value.encode())]).parent
    assert caller == (TRACE, SPAN, "01")


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-and-more",
    ],
)
def test_a_traceparent_that_is_not_one_is_left_out(value: str) -> None:
    assert context_of([(b"traceparent", value.encode())]).parent is None


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_do_not_tell_what_variables_hold(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    handlers = logging.root.handlers
    try:
        set_up_logging("info", "json" if form == "json" else "console")
        text = "what somebody " + "wrote"
        try:
            raise RuntimeError(len(text))
        except RuntimeError:
            logging.getLogger("unroll").exception("it failed")
    finally:
        logging.root.handlers = handlers
    LOG_OUTPUT.flush()
    written = capfd.readouterr().err
    assert "it failed" in written
    assert "RuntimeError" in written
    assert "what somebody wrote" not in written


@pytest.mark.parametrize(("level", "lines"), [("info", 2), ("warning", 1), ("error", 0)])
def test_the_level_chooses_among_the_lines(level: str, lines: int, capfd: pytest.CaptureFixture[str]) -> None:
    lines_of = request_logger(level, "json")
    log = RequestLog(lines_of, RefusalReport(Metrics(), lines_of), logs_probes=False)
    for status, route in ((200, SENTIMENT), (503, SENTIMENT), (200, "/healthz")):
        log.tell(context_of([]), "POST", route, status, 0.1)
    LOG_OUTPUT.flush()
    assert len(capfd.readouterr().err.splitlines()) == lines
