"""POST /v1/forecast, against plain PyTorch: each model and shape, windows, CSVs, streams, tensors."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput

from tests.api.forecasts import DRAFTS, Rows, forecast, in_units, outputs
from tests.api.sse import events_of

FORECASTERS = ("forecast-tiny", "forecast-state", "forecast-window", "forecast-decoder")
CLOSE = {"rel": 1e-6, "abs": 5e-5}  # 1e-6 of the range of a column, which is 50


def rows_for(name: str, steps: int, seed: int = 0) -> Rows:
    series = DRAFTS[name].series
    assert series is not None
    numbers: Rows = np.random.default_rng(seed).uniform(0, 30, (steps, len(series.features))).round(1).tolist()
    return numbers


def names_of(name: str) -> list[str]:
    series = DRAFTS[name].series
    assert series is not None
    return [feature.name for feature in series.features]


def csv_of(name: str, rows: Rows) -> str:
    lines = [",".join(["day", *names_of(name)])]
    lines += [",".join([f"2020-01-{day:02}", *map(str, row)]) for day, row in enumerate(rows, 1)]
    return "\n".join(lines)


def ask(http: httpx.Client, inputs: object, **options: object) -> list[dict[str, Any]]:
    answer = http.post("/v1/forecast", json={"inputs": inputs, **options})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def same(found: Rows, expected: Rows) -> None:
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=CLOSE["rel"], atol=CLOSE["abs"])


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("steps", [6, 7, 23, 100])
def test_equal_to_plain_pytorch(numbers: httpx.Client, number_store: Path, name: str, steps: int) -> None:
    rows = rows_for(name, steps, seed=steps)
    for horizon in (None, 2) if name == "forecast-tiny" else (None, 2, 15):
        chosen = {} if horizon is None else {"horizon": horizon}
        (result,) = ask(numbers, rows, model=name, scaled=True, **chosen)
        same(result["values"], forecast(number_store, name, rows, horizon))
        same(result["scaled"], outputs(number_store, name, rows, horizon))
        assert result["finish_reason"] == "length"
        assert result["model"] == name


def test_the_default_model_and_its_words(numbers: httpx.Client) -> None:
    (result,) = ask(numbers, rows_for("forecast-tiny", 6))
    assert set(result) == {"values", "finish_reason", "targets", "interval", "model", "version"}
    assert (result["model"], result["targets"], result["interval"]) == (
        "forecast-tiny",
        ["temperature", "rain"],
        "1 day",
    )
    assert [len(result["values"]), len(result["values"][0])] == [3, 2]


def test_every_shape_of_a_series(numbers: httpx.Client) -> None:
    rows = rows_for("forecast-tiny", 9)
    names = names_of("forecast-tiny")
    by_row = [dict(zip(names, row, strict=True)) for row in rows]
    by_column = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    (expected,) = ask(numbers, rows)
    for shape in (by_row, by_column, [rows], [by_row], [by_column]):
        assert ask(numbers, shape) == [expected]
    for result in ask(numbers, [rows, by_row, by_column]):
        same(result["values"], expected["values"])  # beside others, rounding differs
    single = [row[:1] for row in rows]
    flat = [row[0] for row in single]
    (expected,) = ask(numbers, single, model="forecast-window")
    assert ask(numbers, flat, model="forecast-window") == [expected]
    for result in ask(numbers, [flat, flat], model="forecast-window"):
        same(result["values"], expected["values"])


def test_csv(numbers: httpx.Client) -> None:
    rows = rows_for("forecast-tiny", 9)
    (expected,) = ask(numbers, rows, horizon=2, scaled=True)
    plain = csv_of("forecast-tiny", rows)
    german = plain.replace(",", ";").replace(".", ",")
    for text in (plain, plain.replace("\n", "\r\n"), "\ufeff" + german, "\n" + plain + "\n\n"):
        answer = numbers.post(
            "/v1/forecast?horizon=2&scaled=true", content=text.encode(), headers={"Content-Type": "text/csv"}
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"] == [expected]
        assert answer.json()["usage"]["inputs"] == 1


def test_options_of_json_may_be_in_the_query_string(numbers: httpx.Client) -> None:
    rows = rows_for("forecast-tiny", 6)
    answer = numbers.post("/v1/forecast?horizon=1", json={"inputs": rows, "scaled": True})
    assert answer.json()["results"] == ask(numbers, rows, horizon=1, scaled=True)
    twice = numbers.post("/v1/forecast?horizon=1", json={"inputs": rows, "horizon": 2})
    assert (twice.status_code, twice.json()["type"]) == (422, "/problems/contradictory-options")


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("stride", [None, 1, 4, 11])
def test_windows(numbers: httpx.Client, number_store: Path, name: str, stride: int | None) -> None:
    rows = rows_for(name, 29)
    (result,) = ask(numbers, rows, model=name, windows=True, **({} if stride is None else {"stride": stride}))
    starts = list(range(0, 24, stride or 6))
    assert [(window["first"], window["last"]) for window in result["windows"]] == [(s, s + 5) for s in starts]
    for window in result["windows"]:
        read = rows[window["first"] : window["last"] + 1]
        same(window["values"], forecast(number_store, name, read))
    assert result["values"] == result["windows"][-1]["values"]


def test_windows_equal_the_series_that_ends_there(numbers: httpx.Client) -> None:
    """Also where numbers are missing: a window knows nothing of later rows."""
    rows: Any = rows_for("forecast-state", 30)
    for row, column in ((3, 0), (4, 0), (5, 0), (6, 0), (11, 1), (17, 0), (17, 1)):
        rows[row][column] = None
    (result,) = ask(numbers, rows, model="forecast-state", windows=True, stride=1)
    filled = [list(row) for row in rows]
    for row in range(1, 30):
        filled[row] = [filled[row - 1][place] if one is None else one for place, one in enumerate(filled[row])]
    for window in result["windows"]:
        (alone,) = ask(numbers, filled[window["first"] : window["last"] + 1], model="forecast-state")
        same(window["values"], alone["values"])


def test_windows_at_the_deadline_have_the_rows_made_so_far(numbers: httpx.Client, number_store: Path) -> None:
    rows = rows_for("forecast-window", 205)
    chosen = {"model": "forecast-window", "windows": True, "stride": 1, "horizon": 2500, "timeout_ms": 3000}
    (result,) = ask(numbers, rows, **chosen)
    made = [len(window["values"]) for window in result["windows"]]
    assert len(made) == 200
    assert max(made) > 0
    assert min(made) < 2500
    for window in result["windows"]:
        assert window["finish_reason"] == ("length" if len(window["values"]) == 2500 else "deadline")
    first = result["windows"][0]["values"][:20]
    same(first, forecast(number_store, "forecast-window", rows[:6], 20)[: len(first)])


@pytest.mark.parametrize(
    ("name", "steps", "width"), [("forecast-tiny", 6, 8), ("forecast-state", 21, 8), ("forecast-window", 6, 16)]
)
def test_states(numbers: httpx.Client, name: str, steps: int, width: int) -> None:
    (result,) = ask(numbers, rows_for(name, 21), model=name, states=True, horizon=2)
    assert np.array(result["states"]).shape == (steps, width)
    assert np.abs(result["states"]).max() <= 1


def test_padding(numbers: httpx.Client, number_store: Path) -> None:
    """A short series is padded with zeros after scaling, before its rows."""
    manifest = DRAFTS["forecast-window"]
    (result,) = ask(numbers, [15.0, 20.0], model="forecast-window", horizon=3)
    padded = [*in_units(manifest, [[0.0]] * 4), [15.0], [20.0]]
    same(result["values"], forecast(number_store, "forecast-window", padded, 3))


def stream(http: httpx.Client, inputs: object, **options: object) -> list[Any]:
    answer = http.post("/v1/forecast", json={"inputs": inputs, "stream": True, **options})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events_of(answer.text)


@pytest.mark.parametrize("name", FORECASTERS)
def test_streams(numbers: httpx.Client, name: str) -> None:
    inputs = [rows_for(name, 12, seed) for seed in range(3)]
    horizon = 3 if name == "forecast-tiny" else 20
    whole = ask(numbers, inputs, model=name, horizon=horizon, scaled=True)
    events = stream(numbers, inputs, model=name, horizon=horizon, scaled=True)
    assert events[-1].name == "done"
    for index, expected in enumerate(whole):
        of_input = [event for event in events if event.data.get("input") == index]
        parts = [event.data for event in of_input if event.name == "values"]
        assert of_input[-1].name == "result"
        assert len(of_input) == len(parts) + 1
        assert len(parts) > 1 or horizon == 3
        for member in ("values", "scaled"):
            same([row for part in parts for row in part[member]], expected[member])
            same(of_input[-1].data["result"][member], expected[member])


def test_streamed_windows(numbers: httpx.Client) -> None:
    rows = rows_for("forecast-decoder", 20)
    (whole,) = ask(numbers, rows, model="forecast-decoder", windows=True, stride=3)
    events = stream(numbers, rows, model="forecast-decoder", windows=True, stride=3)
    for number, window in enumerate(whole["windows"]):
        parts = [event.data for event in events if event.name == "values" and event.data["window"] == number]
        same([row for part in parts for row in part["values"]], window["values"])
    (result,) = (event.data["result"] for event in events if event.name == "result")
    assert len(result["windows"]) == len(whole["windows"])


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("name", FORECASTERS)
def test_triton(number_server: str, numbers: httpx.Client, name: str, is_binary: bool) -> None:
    inputs = [rows_for(name, 11, seed) for seed in range(3)]
    tensor = InferInput("series", [3, 11, len(inputs[0][0])], "FP32")
    tensor.set_data_from_numpy(np.array(inputs, dtype=np.float32), binary_data=is_binary)
    with InferenceServerClient(number_server.removeprefix("http://"), network_timeout=100) as client:
        metadata = client.get_model_metadata(name)
        result = client.infer(name, [tensor], parameters={"horizon": 2})
    series, architecture = DRAFTS[name].series, DRAFTS[name].architecture
    assert series is not None
    assert metadata["inputs"][:1] == [{"name": "series", "datatype": "FP32", "shape": [-1, -1, len(series.features)]}]
    assert metadata["outputs"][0] == {"name": "values", "datatype": "FP32", "shape": [-1, -1, architecture.targets]}  # type: ignore[union-attr]
    expected = [one["values"] for one in ask(numbers, inputs, model=name, horizon=2)]
    np.testing.assert_allclose(result.as_numpy("values"), np.array(expected), rtol=1e-5, atol=1e-4)
    assert result.as_numpy("finish_reason").tolist() in ([b"length"] * 3, ["length"] * 3)


def test_tensors_with_missing_numbers_and_options_without_tensor(numbers: httpx.Client) -> None:
    def infer(name: str, data: list[float], **parameters: object) -> httpx.Response:
        body = json.dumps(
            {
                "inputs": [{"name": "series", "shape": [1, len(data) // 2, 2], "datatype": "FP32", "data": data}],
                "parameters": parameters,
            }
        )
        return numbers.post(f"/v2/models/{name}/infer", content=body)

    gap = infer("forecast-state", [1.0, 2.0, float("nan"), 3.0])
    assert (
        gap.json()["outputs"][0]["data"] == infer("forecast-state", [1.0, 2.0, 1.0, 3.0]).json()["outputs"][0]["data"]
    )
    for option in ("scaled", "states", "stream"):
        refused = infer("forecast-state", [1.0, 2.0], **{option: True})
        assert refused.status_code == 422
        assert f"{option} is not supported here" in refused.json()["detail"]
    refused = infer("forecast-state", [1.0, 2.0], windows=True)
    assert "windows" in refused.json()["detail"]


def test_models_describe_their_series(numbers: httpx.Client) -> None:
    models = {model["name"]: model for model in numbers.get("/v1/models").json()["models"]}
    assert models["forecast-tiny"]["series"] == {
        "features": ["rain", "temperature", "wind"],
        "targets": ["temperature", "rain"],
        "window": 6,
        "horizon": 3,
        "longest_horizon": 3,
        "pad": "refuse",
        "missing": "refuse",
        "interval": "1 day",
    }
    assert "longest_horizon" not in models["forecast-state"]["series"]
    assert "series" not in models["tag-tiny"]


def test_metrics(numbers: httpx.Client) -> None:
    def inputs() -> float:
        text = numbers.get("/metrics").text
        return float(text.split('unroll_inputs_total{task="forecasting"} ')[1].split()[0])

    ask(numbers, rows_for("forecast-tiny", 6))
    before = inputs()
    ask(numbers, [rows_for("forecast-tiny", 6)] * 3)
    assert inputs() == before + 3


def test_a_series_is_classified_and_embedded(numbers: httpx.Client) -> None:
    rows = rows_for("classify-series", 15)
    by_column = {name: [row[place] for row in rows] for place, name in enumerate(names_of("classify-series"))}
    answers = [
        numbers.post("/v1/classify", json={"inputs": shape}).json()["results"] for shape in (rows, by_column, [rows])
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0]["model"] == "classify-series"
    csv = numbers.post(
        "/v1/classify", content=csv_of("classify-series", rows), headers={"Content-Type": "text/csv"}
    ).json()
    assert csv["results"] == answers[0]
    embedded = numbers.post("/v1/embed", json={"inputs": rows, "model": "forecast-state"})
    assert embedded.status_code == 200, embedded.text


def errors_of(windows: list[dict[str, Any]], rows: Rows) -> tuple[float, float]:
    """The mean absolute errors of windows of one target, whose past is `rows`, number by number."""
    known = [row[0] for row in rows]
    forecasts, repeated = [], []
    for window in windows:
        last = [number for number in known[: window["last"] + 1] if number is not None][-1]
        for (value,), became in zip(window["values"], known[window["last"] + 1 :], strict=False):
            if became is not None:
                forecasts.append(abs(value - became))
                repeated.append(abs(last - became))
    return float(np.mean(forecasts)), float(np.mean(repeated))


@pytest.mark.parametrize("stride", [None, 1, 4])
def test_windows_have_what_followed_and_its_mean_absolute_error(numbers: httpx.Client, stride: int | None) -> None:
    rows: Any = rows_for("forecast-state", 23)
    for row in (9, 10, 22):
        rows[row][0] = None
    chosen = {} if stride is None else {"stride": stride}
    (result,) = ask(numbers, rows, model="forecast-state", windows=True, horizon=4, **chosen)
    windows = result["windows"]
    for window in windows:
        assert window["actual"] == rows[window["last"] + 1 : window["last"] + 5]
    assert windows[0]["actual"][3][0] is None
    error, persistence = errors_of(
        [window | {"values": [row[:1] for row in window["values"]]} for window in windows], rows
    )
    assert result["mean_absolute_error"]["temperature"] == pytest.approx(error)
    assert result["persistence_mean_absolute_error"]["temperature"] == pytest.approx(persistence)
    assert list(result["mean_absolute_error"]) == ["temperature", "wind"]


def test_targets_have_their_own_columns_of_what_followed(numbers: httpx.Client) -> None:
    """The targets of this model are its second and its first feature."""
    rows = rows_for("forecast-tiny", 12)
    (result,) = ask(numbers, rows, windows=True, stride=1)
    targets = np.array(rows)[:, [1, 0]]
    distances = []
    for window in result["windows"]:
        following = targets[window["last"] + 1 : window["last"] + 4]
        assert window["actual"] == following.tolist()
        distances.append(np.abs(np.array(window["values"])[: len(following)] - following))
    errors = np.concatenate(distances).mean(axis=0)
    assert result["mean_absolute_error"] == pytest.approx({"temperature": errors[0], "rain": errors[1]})


def test_windows_of_which_nothing_is_known_have_no_error(numbers: httpx.Client) -> None:
    rows = rows_for("forecast-tiny", 6)
    (result,) = ask(numbers, rows, windows=True)
    assert result["windows"][0]["actual"] == []
    assert not {"mean_absolute_error", "persistence_mean_absolute_error"} & set(result)
    (whole,) = ask(numbers, rows)
    assert set(whole) == set(result) - {"windows"}
