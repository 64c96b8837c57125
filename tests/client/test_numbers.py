"""Both clients with series, clips and words: every form of an input, and answers as plain HTTP gives them."""

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import httpx
import numpy as np
import pytest
import torch
from unroll_client import (
    Answers,
    Clip,
    Csv,
    ForecastResult,
    ForecastRows,
    ForecastStream,
    InvalidRequest,
    LabelResult,
    StateResult,
    TagResult,
    Task,
    Unroll,
)
from unroll_client.calls import make_call
from unroll_client.tasks import CLASSIFY

from tests.api.clips import animation, pictures, saved, text
from tests.client.both_clients import KINDS, Kind, result_of, streamed

kinds = pytest.mark.parametrize("kind", KINDS)
ROWS = [[5.8, 5.0, 2.8, 1.7], [0.0, 4.4, 0.6, 1.7], [0.0, 4.4, 0.0, 2.5], [8.6, 4.4, 1.7, 2.9], [1.5, 5.0, 1.7, 1.3],
        [0.0, 7.2, 0.6, 2.6], [0.0, 5.6, -1.0, 3.4], [0.0, 5.6, -2.1, 3.5]]  # fmt: skip
NAMES = ("precipitation", "temp_max", "temp_min", "wind")
COLUMNS = {name: [row[place] for row in ROWS] for place, name in enumerate(NAMES)}
CSV = "\n".join(
    ["day;" + ";".join(NAMES), *(f"2015-12-{day};" + ";".join(map(str, row)) for day, row in enumerate(ROWS, 24))]
).encode()
CLIP = [saved(image) for image in pictures(6)]
TEXT = "a warm and funny film"


class Table:
    """What the client reads of a DataFrame of pandas, which is not installed here."""

    columns = ("day", *NAMES)

    def to_dict(self, *, orient: str) -> dict[str, list[Any]]:
        assert orient == "list"
        return {"day": [np.datetime64("2015-12-24")] * len(ROWS)} | {
            name: [float("nan") if name == "wind" and row == 0 else number for row, number in enumerate(column)]
            for name, column in COLUMNS.items()
        }


def plain(server: str, path: str, **body: Any) -> Any:
    answer = httpx.post(f"{server}{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def content(result: Any) -> Any:
    return {name: item for name, item in result.to_dict().items() if name != "usage"}


def near(expected: Any) -> Any:
    if isinstance(expected, dict):
        return {key: near(item) for key, item in expected.items()}
    if isinstance(expected, list):
        return [near(item) for item in expected]
    return pytest.approx(expected, abs=1e-4) if isinstance(expected, float) else expected


def call(method: str, inputs: Any, **options: Any) -> Callable[[Any], Any]:
    """A call of a client."""
    return lambda client: getattr(client, method)(inputs, **options)


ONE_SERIES = {
    "rows": ROWS,
    "tuples": tuple(map(tuple, ROWS)),
    "rows by name": [dict(zip(NAMES, row, strict=True)) for row in ROWS],
    "columns": COLUMNS,
    "columns of numpy": {name: np.array(column) for name, column in COLUMNS.items()},
    "numpy": np.array(ROWS),
    "torch": torch.tensor(ROWS, dtype=torch.float64),
    "rows of numpy": list(np.array(ROWS)),
    "numbers of a database": [[Decimal(str(number)) for number in row] for row in ROWS],
    "table": Table(),
    "csv": Csv(CSV),
}


@kinds
@pytest.mark.parametrize("form", ONE_SERIES)
def test_every_form_of_a_series(kind: Kind, server: str, form: str) -> None:
    expected = plain(server, "/v1/forecast", inputs=ROWS)["results"][0]
    given = ONE_SERIES[form]
    one = result_of(kind, server, lambda client: client.forecast(given))
    assert isinstance(one, ForecastResult)
    assert content(one) == near(expected)
    assert one.usage is not None
    several = result_of(kind, server, lambda client: client.forecast([given, given]))
    assert isinstance(several, Answers)
    assert [content(result) for result in several] == [near(expected)] * 2
    assert several.usage.inputs == 2


@kinds
def test_an_array_of_three_dimensions_is_several_series(kind: Kind, server: str) -> None:
    batch = np.array([ROWS, ROWS[::-1]])
    expected = plain(server, "/v1/forecast", inputs=batch.tolist())["results"]
    answers = result_of(kind, server, lambda client: client.forecast(batch))
    assert [content(result) for result in answers] == near(expected)


@kinds
def test_numbers_of_a_model_with_one_feature(kind: Kind, every_kind_server: str) -> None:
    numbers = [3.0, 4.5, 7.0, 6.5, 5.0, 5.5, None]
    options = {"model": "forecast-window", "horizon": 5}
    with pytest.raises(InvalidRequest, match="missing") as refusal:
        result_of(kind, every_kind_server, lambda client: client.forecast(numbers, **options))
    assert (refusal.value.type, refusal.value.members["row"]) == ("/problems/invalid-series", 6)
    expected = plain(every_kind_server, "/v1/forecast", inputs=numbers[:6], **options)["results"][0]
    for given in (numbers[:6], np.array(numbers[:6], np.float32), [[number] for number in numbers[:6]]):
        one = result_of(kind, every_kind_server, call("forecast", given, **options))
        assert content(one) == near(expected)
    short = result_of(kind, every_kind_server, lambda client: client.forecast([5.0], **options))  # padded
    assert len(short.values) == 5
    with pytest.raises(InvalidRequest, match="has 2 numbers"):  # rows, as for any model: not two series
        result_of(kind, every_kind_server, lambda client: client.forecast([[1.0, 2.0], [3.0, 4.0]], **options))
    two = result_of(kind, every_kind_server, lambda client: client.forecast([[[1.0], [2.0]], [[3.0]]], **options))
    assert len(two) == 2


@kinds
def test_csvs_are_paths_bytes_or_files(kind: Kind, server: str, tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    path.write_bytes(CSV)
    with path.open("rb") as file:
        given = [Csv(path), Csv(str(path)), Csv(CSV), Csv(file), ROWS]
        answers = result_of(kind, server, lambda client: client.forecast(given, windows=True, stride=1, states=True))
    assert [content(answer) for answer in answers] == [near(content(answers[0]))] * 5
    assert [(window.first, window.last) for window in answers[0].windows] == [(0, 5), (1, 6), (2, 7)]
    assert answers[0].values == answers[0].windows[-1].values
    assert [len(window.actual) for window in answers[0].windows] == [2, 1, 0]
    for errors in (answers[0].mean_absolute_error, answers[0].persistence_mean_absolute_error):
        assert list(errors) == answers[0].targets
    assert answers.usage.inputs == 5


@kinds
def test_a_wrong_csv_has_its_place_in_the_list(kind: Kind, server: str) -> None:
    broken = CSV.replace(b"8.6", b"eight")
    with pytest.raises(InvalidRequest, match=r"in the part that starts at input 2: .*line 5") as refusal:
        result_of(kind, server, lambda client: client.forecast([Csv(CSV), ROWS, Csv(broken)]))
    assert (refusal.value.input, refusal.value.members["column"]) == (2, "precipitation")


@kinds
@pytest.mark.parametrize(
    ("given", "options", "windows"),
    [(ROWS, {"scaled": True}, [None]), (Csv(CSV), {"windows": True, "stride": 1}, [0, 1, 2])],
    ids=["rows", "windows of a csv"],
)
def test_rows_of_a_stream_are_those_of_the_result(
    kind: Kind, server: str, given: Any, options: dict[str, Any], windows: list[int | None]
) -> None:
    rows, result = streamed(kind, server, lambda client: client.stream_forecast(given, **options))
    assert {type(item) for item in rows} == {ForecastRows}
    for window, forecast in zip(windows, result.windows or [result], strict=True):
        of_it = [item for item in rows if item.window == window]
        assert [row for item in of_it for row in item.values] == forecast.values
        if "scaled" in options:
            assert [row for item in of_it for row in item.scaled] == forecast.scaled
    whole = result_of(kind, server, lambda client: client.forecast(given, **options))
    assert content(result) == near(content(whole))


@kinds
def test_a_stream_has_one_csv(kind: Kind, server: str) -> None:
    with pytest.raises(TypeError, match="single"):
        streamed(kind, server, lambda client: client.stream_forecast([Csv(CSV), Csv(CSV)]))


@kinds
def test_texts_clips_and_series_are_classified(kind: Kind, every_kind_server: str, tmp_path: Path) -> None:
    """Also together: the client sends each kind in a request of its own."""
    encoded = [text(image) for image in CLIP]
    of_clip = plain(every_kind_server, "/v1/classify", inputs={"frames": encoded})["results"][0]
    of_text = plain(every_kind_server, "/v1/classify", inputs=TEXT)["results"][0]
    file = tmp_path / "clip.webp"
    file.write_bytes(animation(pictures(6)))
    clips = [Clip(CLIP), Clip([io.BytesIO(image) for image in CLIP]), Clip(file), Clip(str(file))]
    answers = result_of(kind, every_kind_server, lambda client: client.classify([TEXT, *clips, TEXT]))
    assert [content(answer) for answer in answers] == near([of_text, *[of_clip] * 4, of_text])
    one = result_of(kind, every_kind_server, lambda client: client.classify(clips[0], explain=True))
    assert isinstance(one, LabelResult)
    assert (one.label, one.explanation.steps, one.explanation.tokens) == (of_clip["label"], 6, None)  # type: ignore[union-attr]
    rows = [[20.0, 3.0], [21.5, 2.0], [19.0, 7.0]]
    expected = plain(every_kind_server, "/v1/classify", inputs=rows, model="classify-series")["results"][0]
    table = b"temperature,wind\n20,3\n21.5,2\n19,7\n"
    for given in (rows, Csv(table)):
        one = result_of(kind, every_kind_server, call("classify", given, model="classify-series"))
        assert content(one) == near(expected)


@kinds
def test_words_are_tagged(kind: Kind, every_kind_server: str) -> None:
    inputs: list[Any] = [TEXT, ["save", "the", "file"]]
    for options in ({"model": "tag-crf", "scores": True}, {"model": "tag-en"}):
        expected = plain(every_kind_server, "/v1/tag", inputs=inputs, **options)["results"]
        answers = result_of(kind, every_kind_server, call("tag", inputs, **options))
        assert [content(answer) for answer in answers] == near(expected)
    one = result_of(kind, every_kind_server, lambda client: client.tag(TEXT, model="tag-crf"))
    assert [word.text for word in one.tags] == TEXT.split()
    assert one.spans is not None
    for wrong in (3, [3], [["a", 3]]):
        with pytest.raises(TypeError, match="an input is a str or"):
            result_of(kind, every_kind_server, call("tag", wrong))


@kinds
def test_states(kind: Kind, server: str) -> None:
    expected = plain(server, "/v1/embed", inputs=TEXT, model="lm-en", pooling="mean", layer=0)["results"][0]
    options = {"model": "lm-en", "pooling": "mean", "layer": 0}
    one = result_of(kind, server, lambda client: client.embed(TEXT, **options))
    assert isinstance(one, StateResult)
    assert content(one) == near(expected)
    unit = result_of(kind, server, lambda client: client.embed([ROWS], model="forecast-weather", normalize=True))
    assert np.linalg.norm(unit[0].embedding) == pytest.approx(1)


def test_what_is_no_series_is_refused_before_anything_is_sent() -> None:
    with Unroll("http://127.0.0.1:9") as client:
        for wrong in ("days.csv", b"a,b", ["days.csv"], 3.0, {1, 2}):
            with pytest.raises(TypeError, match=r"a series is .* or a Csv\(file\), not"):
                client.forecast(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="of the kind text or frames, not series"):
            client.ask(Task("mine", "/v1/embed", ("text", "frames"), StateResult), ROWS)
        with pytest.raises(TypeError, match="is a Clip"):
            client.ask(Task("mine", "/v1/embed", "frames", StateResult), ROWS)
        with pytest.raises(OSError, match="nowhere"):
            client.forecast(Csv("/nowhere.csv"))


def test_a_clip_is_a_json_object() -> None:
    """Its request has the base64 of its files, in the order of the frames."""
    request = make_call(CLASSIFY, Clip([b"one", b"two"]), {}).request()
    assert json.loads(request["content"]) == {"inputs": [{"frames": ["b25l", "dHdv"]}]}


def test_types_of_results(server: str) -> None:
    with Unroll(server) as client:
        assert_type(client.forecast(ROWS), ForecastResult)
        assert_type(client.forecast(COLUMNS), ForecastResult)
        assert_type(client.forecast(np.array(ROWS)), ForecastResult)
        assert_type(client.forecast(Csv(CSV)), ForecastResult)
        assert_type(client.forecast([ROWS, ROWS]), Answers[ForecastResult])
        assert_type(client.forecast([COLUMNS]), Answers[ForecastResult])
        assert_type(client.forecast([Csv(CSV)]), Answers[ForecastResult])
        assert_type(client.stream_forecast(ROWS), ForecastStream[ForecastResult])
        assert_type(next(client.stream_forecast(ROWS)), ForecastRows)
        assert_type(client.classify(TEXT), LabelResult)
        assert_type(client.classify([TEXT]), Answers[LabelResult])
        assert_type(client.classify([Clip(CLIP)]), Answers[LabelResult])
        assert_type(client.tag(TEXT), TagResult)
        assert_type(client.tag([TEXT]), Answers[TagResult])
        assert_type(client.tag([["a", "film"]]), Answers[TagResult])
        assert_type(client.embed(TEXT), StateResult)
