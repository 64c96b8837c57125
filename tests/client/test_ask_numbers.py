"""`unroll ask` with CSVs, clips and words: files, folders and standard input in; tables and CSV out."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.clips import animation, pictures, saved, text
from tests.client.test_ask import invoked, lines_of, ran
from tests.client.test_numbers import CSV, ROWS, TEXT


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """A folder with two CSVs, and files that are none."""
    folder = tmp_path / "days"
    folder.mkdir()
    (folder / "a.csv").write_bytes(CSV)
    (folder / "b.tsv").write_bytes(CSV.replace(b";", b"\t").replace(b"8.6", b"9.6"))
    (folder / "notes.txt").write_text("no series")
    return folder


def forecast(server: str, **options: Any) -> dict[str, Any]:
    body = {"inputs": ROWS, **options}
    result: dict[str, Any] = httpx.post(f"{server}/v1/forecast", json=body).json()["results"][0]
    return result


def rows_of(output: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(output)))


def test_a_forecast_is_a_table(server: str, days: Path) -> None:
    expected = forecast(server)
    lines = [line.split() for line in invoked(server, "forecast", days / "a.csv").splitlines()]
    assert lines[0] == ["step", "temp_max", "temp_min"]
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
    assert [[float(cell) for cell in line[1:]] for line in lines[1:]] == [
        pytest.approx(row, rel=1e-5) for row in expected["values"]
    ]
    assert len({len(line) for line in invoked(server, "forecast", days / "a.csv").splitlines()}) == 1


def test_a_folder_prints_each_file_above_its_table(server: str, days: Path) -> None:
    lines = invoked(server, "forecast", days).splitlines()
    assert [lines[0], lines[5]] == [str(days / "a.csv"), str(days / "b.tsv")]
    assert len(lines) == 10


def test_csv_of_the_standard_input_to_csv(server: str) -> None:
    output = ran(server, "forecast", "-", "--csv", stdin=b"\xef\xbb\xbf" + CSV)
    header, *rows = rows_of(output)
    assert header == ["step", "temp_max", "temp_min"]
    assert [[float(cell) for cell in row[1:]] for row in rows] == [
        pytest.approx(row, rel=1e-5) for row in forecast(server)["values"]
    ]


def test_csv_of_windows_of_several_files(server: str, days: Path) -> None:
    expected = forecast(server, windows=True, stride=1)["windows"]
    header, *rows = rows_of(invoked(server, "forecast", days, "--windows", "--stride", "1", "--csv"))
    assert header == ["input", "first", "last", "step", "temp_max", "temp_min"]
    assert len(rows) == 2 * 3 * 3
    first = [row[1:] for row in rows if row[0].endswith("a.csv")]
    assert [row[:3] for row in first] == [
        [str(window["first"]), str(window["last"]), str(step)] for window in expected for step in (1, 2, 3)
    ]
    values = [value for window in expected for row in window["values"] for value in row]
    assert [float(cell) for row in first for cell in row[3:]] == pytest.approx(values, rel=1e-5)


def test_a_wrong_csv_fails_alone(server: str, days: Path) -> None:
    (days / "c.csv").write_bytes(CSV.replace(b"8.6", b"eight"))
    (days / "d.csv").write_bytes(b"\n".join(CSV.split(b"\n")[:4]))
    output = invoked(server, "forecast", days, days / "none.csv", "--jsonl", status=1)
    lines = lines_of("\n".join(line for line in output.splitlines() if line.startswith("{")))
    kinds = [line.get("problem", {}).get("type", "result") for line in lines]
    assert kinds == ["result", "result", "/problems/invalid-series", "/problems/input-too-short", "about:blank"]
    assert lines[2]["problem"]["column"] == "precipitation"
    assert "3 of 5 inputs failed" in output
    assert lines[1]["input"] == str(days / "b.tsv")


def test_columns_of_a_csv_are_those_of_one_model(server: str, days: Path, tmp_path: Path) -> None:
    """An output file of a run with CSVs resumes, as any other."""
    output = tmp_path / "answers.jsonl"
    invoked(server, "forecast", days, "--output", output)
    before = output.read_bytes()
    invoked(server, "forecast", days, "--output", output)
    assert output.read_bytes() == before
    assert [json.loads(line)["result"]["model"] for line in before.splitlines()] == ["forecast-weather"] * 2


def test_rows_are_printed_as_they_come(server: str, days: Path) -> None:
    expected = forecast(server)["values"]
    lines = [line.split("\t") for line in invoked(server, "forecast", days / "a.csv", "--stream").splitlines()]
    assert [line[0] for line in lines] == ["1", "2", "3"]
    assert [float(cell) for line in lines for cell in line[1:]] == pytest.approx(
        [number for row in expected for number in row], rel=1e-5
    )
    output = invoked(server, "forecast", days / "a.csv", "--stream", "--windows", "--stride", "2")
    assert sorted(line.split("\t")[:2] for line in output.splitlines()) == [
        [window, step] for window in "01" for step in "123"
    ]
    assert "/nowhere.csv" in invoked(server, "forecast", "/nowhere.csv", "--stream", status=1)


def test_the_images_of_a_folder_are_in_the_order_of_their_numbers(every_kind_server: str, tmp_path: Path) -> None:
    images = pictures(12)
    for number, image in enumerate(images, 1):
        (tmp_path / f"{number}.png").write_bytes(saved(image))
    body = {"inputs": {"frames": [text(saved(image)) for image in images]}}
    expected = httpx.post(f"{every_kind_server}/v1/classify", json=body).json()["results"][0]
    label, score = invoked(every_kind_server, "classify", tmp_path).split("\t")[:2]
    assert label == expected["label"]
    assert float(score) == pytest.approx(expected["score"], abs=1e-4)
    one = invoked(every_kind_server, "classify", tmp_path / "1.png", status=2)
    assert "1.png is one image; a clip is an animated image" in one


def test_texts_series_and_clips_are_classified(every_kind_server: str, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, image in enumerate(pictures(6)):
        (frames / f"{number}.png").write_bytes(saved(image))
    (tmp_path / "clip.webp").write_bytes(animation(pictures(6)))
    body = {"inputs": {"frames": [text(saved(image)) for image in pictures(6)]}}
    of_clip = httpx.post(f"{every_kind_server}/v1/classify", json=body).json()["results"][0]
    lines = invoked(every_kind_server, "classify", f"{frames}/", tmp_path / "clip.webp", TEXT).splitlines()
    assert [line.split("\t")[0] for line in lines[:2]] == [of_clip["label"]] * 2
    assert lines[2].endswith(f"\t{TEXT}")
    (tmp_path / "wind.csv").write_text("wind,temperature\n3,20\n2,21.5\n")
    assert invoked(every_kind_server, "classify", tmp_path / "wind.csv", "--model", "classify-series").count("\t") == 1
    (tmp_path / "empty").mkdir()
    output = invoked(every_kind_server, "classify", f"{tmp_path}/empty/", f"{tmp_path}/none/", TEXT, status=1)
    assert "has no images" in output
    assert "2 of 3 inputs failed" in output


def test_words_are_printed_with_their_tags(every_kind_server: str) -> None:
    body = {"inputs": TEXT, "model": "tag-crf"}
    result = httpx.post(f"{every_kind_server}/v1/tag", json=body).json()["results"][0]
    first, *spans = invoked(every_kind_server, "tag", TEXT, "--model", "tag-crf").splitlines()
    assert first == " ".join(f"{word['text']}/{word['label']}" for word in result["tags"])
    assert [span.split("\t")[0].strip() for span in spans] == [span["label"] for span in result["spans"]]
    plain = invoked(every_kind_server, "tag", TEXT)  # its labels mark no spans
    assert len(plain.splitlines()) == 1


def test_states_are_numbers(server: str) -> None:
    output = invoked(server, "embed", TEXT, "--model", "lm-en", "--pooling", "max", "--normalize")
    body = {"inputs": TEXT, "model": "lm-en", "pooling": "max", "normalize": True}
    expected = httpx.post(f"{server}/v1/embed", json=body).json()["results"][0]["embedding"]
    assert [float(item) for item in output.split()] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["forecast", "a.csv", "--csv", "--jsonl"], "without --jsonl"),
        (["forecast", "a.csv", "--csv", "--stream"], "without --jsonl, --csv and --output"),
        (["embed", "a", "--pooling", "first"], "'last', 'mean', 'max'"),
        (["forecast"], "there is no input"),
        (["tag", "a", "--csv"], "--csv prints forecasts"),
        (["classify", "a", "--stream"], "answers of classify cannot be streamed"),
    ],
)
def test_wrong_usage_is_explained(server: str, arguments: list[str], why: str) -> None:
    assert why in invoked(server, *arguments, status=2)
