"""Bad series: the right status, with the row and the column, and a service that keeps answering."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

GOOD = [[1.0, 2.0, 3.0]] * 6
CSV = {"Content-Type": "text/csv"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Bad:
    """A request, the status and kind of its problem, words of its detail, and members of the problem."""

    sent: dict[str, Any]
    slug: str
    words: str
    facts: dict[str, Any] = field(default_factory=dict)
    query: str = ""
    status: int = 422


def of(inputs: object, **options: object) -> dict[str, Any]:
    return {"content": json.dumps({"inputs": inputs, **options}), "headers": JSON}


def with_cell(row: int, column: int, value: object) -> list[list[object]]:
    rows: list[list[object]] = [list(one) for one in GOOD]
    rows[row][column] = value
    return rows


def csv(text: str) -> dict[str, Any]:
    return {"content": text.encode(), "headers": CSV}


LINES = "rain,temperature,wind\n" + "1,2,3\n" * 6
BAD: dict[str, Bad] = {
    "no inputs": Bad({"json": {}}, "invalid-request", "inputs: Field required"),
    "an empty list": Bad(of([]), "invalid-request", "a list of at least one series"),
    "a text": Bad(of("1,2,3"), "invalid-request", "should be a series"),
    "a number": Bad(of(5), "invalid-request", "should be a series"),
    "an empty series": Bad(of([[], GOOD]), "empty-input", "inputs[0] has no numbers", {"input": 0}),
    "empty columns": Bad(of({"rain": [], "temperature": [], "wind": []}), "empty-input", "inputs[0] has no numbers"),
    "numbers in another column": Bad(
        of({"rain": [], "temperature": [], "wind": [], "snow": [1.0]}), "empty-input", "inputs[0] has no numbers"
    ),
    "ragged rows": Bad(
        of([*GOOD[:3], [1.0, 2.0], *GOOD[4:]]), "invalid-series", "inputs[0], row 3: it has 2 numbers", {"row": 3}
    ),
    "ragged rows of the second series": Bad(
        of([GOOD, [*GOOD, [1.0]]]), "invalid-series", "inputs[1], row 6: it has 1 number", {"input": 1, "row": 6}
    ),
    "too few steps": Bad(
        of(GOOD[:4]),
        "input-too-short",
        "inputs[0] has 4 steps; forecast-tiny needs 6: send 2 more",
        {"input": 0, "limit": 6},
    ),
    "too few steps for a window": Bad(
        of([[1.0, 2.0]] * 5, model="forecast-state", windows=True), "input-too-short", "needs 6: send 1 more"
    ),
    "a missing number": Bad(
        of(with_cell(2, 1, None)),
        "invalid-series",
        "inputs[0], row 2, column temperature: the number is missing, and forecast-tiny takes no missing numbers",
        {"input": 0, "row": 2, "column": "temperature"},
    ),
    "NaN": Bad(of(with_cell(2, 1, float("nan"))), "invalid-series", "row 2, column temperature: the number is missing"),
    "nothing to fill from": Bad(
        of([[1.0, None], [2.0, None]], model="forecast-state"),
        "invalid-series",
        "row 0, column wind: the number is missing, and there is none before it",
        {"row": 0, "column": "wind"},
    ),
    "infinite": Bad(
        of(with_cell(5, 2, float("inf"))),
        "invalid-series",
        "row 5, column wind: the number is infinite or too large",
        {"row": 5, "column": "wind"},
    ),
    "too large for JSON": Bad(
        {"content": json.dumps({"inputs": GOOD}).replace("3.0", "1e999", 1), "headers": JSON},
        "invalid-series",
        "row 0, column wind: the number is infinite or too large",
    ),
    "too large for the network": Bad(of(with_cell(5, 2, 1e300)), "invalid-series", "row 5, column wind: 1e+300"),
    "a logarithm of nothing": Bad(
        of(with_cell(4, 0, -1)),
        "invalid-series",
        "row 4, column rain: -1: the model takes log(1 + x), so send a number above -1",
        {"row": 4, "column": "rain"},
    ),
    "text where a number belongs": Bad(
        of(with_cell(1, 0, "12.5")), "invalid-series", 'row 1, column rain: "12.5" is not a number', {"row": 1}
    ),
    "true where a number belongs": Bad(of(with_cell(1, 0, True)), "invalid-series", "true is not a number"),
    "a list where a number belongs": Bad(of(with_cell(1, 0, [1])), "invalid-series", "[1] is not a number"),
    "an integer of 400 digits": Bad(of(with_cell(1, 0, 10**400)), "invalid-series", "infinite or too large"),
    "numbers for a model of three features": Bad(
        of([1.0, 2.0, 3.0]), "invalid-series", "it is a list of numbers; forecast-tiny reads 3 features"
    ),
    "a wrong name": Bad(
        of({"rain": [1.0], "temp": [1.0], "wind": [1.0]}),
        "invalid-series",
        "has no column temperature; forecast-tiny reads 3 features: rain, temperature, wind. Its columns are "
        "rain, temp, wind",
        {"column": "temperature"},
    ),
    "ragged columns": Bad(
        of({"rain": [1.0], "temperature": [1.0, 2.0], "wind": [1.0]}), "invalid-series", "it has 2 numbers, and column"
    ),
    "a million steps": Bad(
        of([[1.0]] * 1_000_000, model="forecast-window"),
        "input-too-long",
        "inputs[0] has 1000000 steps; the limit is 5000",
        {"limit": 5000},
    ),
    "a million lines": Bad(
        csv("temperature\n" + "1\n" * 1_000_000), "input-too-long", "more than 5000 rows", query="model=forecast-window"
    ),
    "too many windows": Bad(
        of([[1.0]] * 1000, model="forecast-window", windows=True, stride=1), "input-too-long", "the limit of a request"
    ),
    "too many numbers": Bad(
        of([[1.0]] * 100, model="forecast-window", windows=True, horizon=9000, stride=1),
        "input-too-long",
        "859465 numbers; the limit is 600000",
        {"limit": 600_000},
    ),
    "too many numbers in windows": Bad(
        of([[[1.0, 2.0, 3.0]] * 100] * 2, windows=True, stride=1),
        "input-too-long",
        "inputs[1] have 3420 numbers in windows; the limit of a request is 3000",
        {"input": 1, "limit": 3000},
    ),
    "further ahead than the service allows": Bad(
        of([[1.0]] * 6, model="forecast-window", horizon=9001),
        "contradictory-options",
        "horizon is 9001; the limit of the service is 9000: set it to 9000 or less",
    ),
    "further ahead than any service allows": Bad(
        of([[1.0]] * 6, model="forecast-window", horizon=10**9), "invalid-request", "horizon: Input should be less than"
    ),
    "too far ahead": Bad(
        of(GOOD, horizon=4), "contradictory-options", "horizon is 4; forecast-tiny forecasts at most 3 steps"
    ),
    "horizon 0": Bad(of(GOOD, horizon=0), "invalid-request", "horizon: Input should be greater than or equal to 1"),
    "stride without windows": Bad(of(GOOD, stride=2), "contradictory-options", "stride needs windows"),
    "stride 0": Bad(of(GOOD, windows=True, stride=0), "invalid-request", "stride: Input should be greater"),
    "an unknown option": Bad(of(GOOD, horizons=2), "invalid-request", "the members are"),
    "a model of another task": Bad(
        of(GOOD, model="tag-tiny"), "model-not-found", "the models are forecast", status=404
    ),
    "an unknown model": Bad(of(GOOD, model="nobody"), "model-not-found", "the models are forecast", status=404),
    "257 series": Bad(of([GOOD] * 257), "too-many-inputs", "the limit is 256"),
    "deep lists": Bad(of([[[[[1]]]]]), "invalid-series", "row 0: it has 1 number"),
    "objects in columns": Bad(of({"rain": {"0": 1}, "temperature": [1], "wind": [1]}), "invalid-series", "not a list"),
    "no content type": Bad(
        {"content": b"1,2"}, "unsupported-media", "send one of application/json, text/csv", status=415
    ),
    "an empty CSV": Bad(csv(""), "empty-input", "the CSV is empty"),
    "a CSV with a header alone": Bad(csv("rain,temperature,wind\n"), "empty-input", "the CSV has no row of numbers"),
    "a CSV without a header": Bad(csv("1,2,3\n4,5,6\n"), "invalid-series", "line 1: the first row has numbers"),
    "a CSV with a text": Bad(
        csv(LINES + "1,mild,3\n"),
        "invalid-series",
        "the CSV, line 8, column temperature: 'mild' is not a number",
        {"input": 0, "row": 6, "column": "temperature"},
    ),
    "a CSV with a missing number": Bad(
        csv(LINES + "1,,3\n"),
        "invalid-series",
        "the CSV, line 8, column temperature: the number is missing",
        {"row": 6},
    ),
    "a CSV with an infinite number": Bad(csv(LINES + "1,inf,3\n"), "invalid-series", "line 8, column temperature"),
    "a ragged CSV": Bad(
        csv(LINES + "1,2\n"), "invalid-series", "line 8: it has 2 fields, and the header 3", {"row": 6}
    ),
    "a short CSV": Bad(
        csv("rain,temperature,wind\n1,2,3\n"), "input-too-short", "the CSV has 1 step; forecast-tiny needs 6"
    ),
    "a CSV of a strange charset": Bad(
        {"content": LINES.encode(), "headers": {"Content-Type": "text/csv; charset=klingon"}},
        "unsupported-media",
        "the charset klingon is not supported",
        status=415,
    ),
    "a CSV with bytes": Bad(
        {"content": b"rain,temperature,wind\n\xff\xfe,1,2\n", "headers": CSV},
        "invalid-series",
        "line 2: it is not utf-8",
    ),
    "a wrong option in the query": Bad(csv(LINES), "invalid-request", "horizon", query="horizon=many"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_series(numbers: httpx.Client, name: str) -> None:
    bad = BAD[name]
    answer = numbers.post(f"/v1/forecast?{bad.query}", **bad.sent)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (bad.status, f"/problems/{bad.slug}"), problem
    assert bad.words in problem["detail"]
    assert bad.facts.items() <= problem.items(), problem
    good = numbers.post("/v1/forecast", json={"inputs": GOOD})
    assert good.status_code == 200, good.text
