"""`unroll ask` against a real service, also as a process that is killed or interrupted."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.api.tasks.bodies import body_of
from app.cli.ask.output_file import Line
from app.cli.ask.printing import printer
from app.cli.main import main
from app.tasks.registry import TASKS
from tests.client.conftest import png

TEXTS = ["a good film", "save the file", "open the file"]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "app", "ask", *map(str, arguments)]


def ran(server: str, *arguments: str | Path, stdin: bytes = b"") -> str:
    """The standard output of a run."""
    environment = os.environ | {"UNROLL_URL": server}
    return subprocess.run(
        command(*arguments), stdout=subprocess.PIPE, input=stdin, env=environment, check=True, timeout=60
    ).stdout.decode()


def invoked(server: str, *arguments: str | Path, status: int = 0) -> str:
    """The output of a run in this process, which is faster."""
    result = CliRunner().invoke(main, ["ask", *map(str, arguments)], env={"UNROLL_URL": server})
    assert result.exit_code == status, result.output
    return result.output


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]


def plain(server: str, path: str, **body: Any) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = httpx.post(f"{server}{path}", json=body).json()["results"]
    return results


def write_inputs(folder: Path, inputs: Sequence[str]) -> Path:
    path = folder / "inputs.txt"
    path.write_text("".join(f"{text}\n" for text in inputs), encoding="utf8")
    return path


def test_one_input_prints_its_answer(server: str) -> None:
    expected = plain(server, "/v1/translate", inputs=TEXTS[0])[0]
    assert invoked(server, "translate", TEXTS[0]) == f"{expected['text']}\n"


def test_a_few_inputs_print_beside_their_answers(server: str) -> None:
    expected = plain(server, "/v1/sentiment", inputs=TEXTS)
    output = invoked(server, "sentiment", *TEXTS)
    assert output.splitlines() == [
        f"{result['label']}\t{result['score']:.4f}\t{text}" for text, result in zip(TEXTS, expected, strict=True)
    ]


def test_lines_of_the_standard_input_as_json_lines(server: str) -> None:
    """The options reach the service, and U+2028 ends no line."""
    texts = [*TEXTS, "a\u2028b"]
    expected = plain(
        server, "/v1/complete", inputs=texts, temperature=0.8, seed=5, max_tokens=6, next_tokens=2, stop=["a"]
    )
    options = ("--temperature", "0.8", "--seed", "5", "--max-tokens", "6", "--next-tokens", "2", "--stop", "a")
    output = ran(server, "complete", "-", "--jsonl", "--batch", "2", *options, stdin="\r\n".join(texts).encode())
    lines = lines_of(output)
    assert [(line["index"], line["task"], line["input"]) for line in lines] == [
        (index, "complete", text) for index, text in enumerate(texts)
    ]
    assert [line["result"]["text"] for line in lines] == [result["text"] for result in expected]
    assert [line["result"]["seed"] for line in lines] == [5, 6, 7, 8]
    assert all(len(line["result"]["next"]) == 2 for line in lines)
    output = invoked(server, "complete", TEXTS[0], "--max-tokens", "3", "--next-tokens", "2")
    assert len(output.splitlines()) == 3


def test_images_are_files_and_folders(server: str, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.jpg").write_bytes(b"no image either")
    output = invoked(server, "caption", tmp_path, tmp_path / "0.png", "/nowhere.png", "--jsonl", status=1)
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [Path(line["input"]).name for line in lines] == [
        "0.png",
        "1.png",
        "2.png",
        "broken.jpg",
        "0.png",
        "nowhere.png",
    ]
    assert [line["index"] for line in lines if "problem" in line] == [3, 5]
    assert lines[3]["problem"]["type"] == "/problems/unsupported-media"
    assert lines[5]["problem"]["title"] == "The file cannot be read"
    first, again = lines[0]["result"], lines[4]["result"]
    assert first == {**again, "score": pytest.approx(again["score"], abs=1e-6)}  # in a batch of another size
    assert "2 of 6 inputs failed" in output


def test_a_failed_input_is_a_line_and_the_others_are_answered(server: str, tmp_path: Path) -> None:
    texts = ["a good film", "", "save the file", "  ", "open the file"]
    file, output = write_inputs(tmp_path, texts), tmp_path / "answers.jsonl"
    options = ("--temperature", "1", "--seed", "3", "--max-tokens", "6")
    error = invoked(server, "translate", "--file", file, "--output", output, *options, status=1)
    assert error.splitlines()[-1] == "2 of 5 inputs failed"
    lines = lines_of(output.read_text(encoding="utf8"))
    assert [line["input"] for line in lines] == texts
    assert [line.get("problem", {}).get("type") for line in lines] == [
        None, "/problems/empty-input", None, "/problems/empty-input", None
    ]  # fmt: skip
    assert "input" not in lines[1]["problem"]
    seeds = [line["result"]["seed"] for line in lines if "result" in line]
    assert seeds == [3, 5, 7]
    before = output.read_bytes()
    invoked(server, "translate", "--file", file, "--output", output, *options, status=1)  # nothing is left to do
    assert output.read_bytes() == before


@pytest.mark.parametrize("how", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT])
def test_an_interrupted_run_resumes(server: str, tmp_path: Path, how: signal.Signals) -> None:
    texts = [f"save the file {number}" for number in range(100)]
    file, output, whole = write_inputs(tmp_path, texts), tmp_path / "answers.jsonl", tmp_path / "whole.jsonl"
    options = ["--max-tokens", "100", "--min-tokens", "100", "--temperature", "1", "--seed", "1"]
    slow = ["--batch", "1", "--concurrency", "1"]  # slow enough to end it in the middle; the answers are the same
    invoked(server, "translate", "--file", file, "--output", whole, *options)
    arguments = command("translate", "--url", server, "--file", file, "--output", output, *options, *slow)
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
    try:
        while not output.exists() or output.read_bytes().count(b"\n") < 4:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(how)
        assert process.stderr is not None
        error = process.stderr.read().decode()
        status = process.wait()
    finally:
        process.kill()
        process.wait()
    left = output.read_bytes()
    assert 4 <= left.count(b"\n") < len(texts)
    if how == signal.SIGINT:
        assert status == 130
        assert f"the answers so far are in {output}, and the same command resumes the run" in error
        assert "Traceback" not in error
    output.write_bytes(left + b'{"index": %d, "task": "transl' % left.count(b"\n"))  # as a truncated write
    invoked(server, "translate", "--file", file, "--output", output, *options)
    assert output.read_bytes().startswith(left)
    texts_of = [[line["result"]["text"] for line in lines_of(path.read_text("utf8"))] for path in (output, whole)]
    assert texts_of[0] == texts_of[1]
    assert [line["index"] for line in lines_of(output.read_text("utf8"))] == list(range(len(texts)))


OTHERS = [
    (b'{"task": "sentiment", "input": "b", "result": {}}\n', "answers 'b', but the input is 'a'"),
    (b'{"task": "translate", "input": "a", "result": {}}\n', "of the task translate"),
    (b'{"task": "sentiment", "input": "a", "result": {}}\n' * 2, "more answers than"),
    (b"my diary\nwhich is long", "line 1 of .* is not an answer"),
    (b"my diary", "line 1 of .* is not an answer"),
    (b'{"index": 0, "task": "sentiment", "input": "b", "resu', "line 1 of .* is not an answer"),
]


@pytest.mark.parametrize(("content", "why"), OTHERS, ids=["input", "task", "more", "diary", "short diary", "piece"])
def test_a_file_with_other_content_is_not_changed(server: str, tmp_path: Path, content: bytes, why: str) -> None:
    output = tmp_path / "answers.jsonl"
    output.write_bytes(content)
    assert re.search(why, invoked(server, "sentiment", "a", "--output", output, status=2))
    assert output.read_bytes() == content


def test_a_file_has_one_writer(server: str, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    with output.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another run writes" in invoked(server, "sentiment", "a", "--output", output, status=2)
    invoked(server, "sentiment", "a", "--output", output)
    assert "No such file" in invoked(server, "sentiment", "a", "--output", tmp_path / "no" / "file", status=1)


def test_an_error_that_is_not_about_an_input_ends_the_run(server: str, tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    file = write_inputs(tmp_path, TEXTS)
    for options, why in (
        (["--model", "missing"], "translate-en-ko"),
        (["--temperature", "9"], "temperature"),
        (["--beams", "2", "--temperature", "1"], "beams"),
    ):
        error = invoked(server, "translate", "--file", file, "--output", output, *options, status=1)
        assert why in error
        assert "the same command resumes the run" in error
    assert output.read_bytes() == b""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert "cannot connect" in invoked(closed, "sentiment", "a", "--retries", "1", status=1)


def test_wrong_usage_is_explained(server: str, tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("a\ncaf\xe9\n".encode("latin1"))
    for arguments, why in (
        (["translate"], "there is no input"),
        (["translate", "a", "--file", str(latin)], "not both"),
        (["translate", "--file", str(latin)], "line 2 of .*latin.txt is not UTF-8"),
        (["translate", "a", "--stream", "--jsonl"], "without --jsonl"),
        (["translate", "a", "--url", "nowhere"], "starts with http"),
        (["translate", "a", "--batch", "0"], "--batch"),
        (["sentiment", "a", "--beams", "2"], "No such option"),
    ):
        output = invoked(server, *arguments, status=2)
        assert re.search(why, output), output


def test_streams_are_printed_as_they_are_decoded(server: str) -> None:
    expected = plain(server, "/v1/translate", inputs=TEXTS, max_tokens=9)
    output = invoked(server, "translate", *TEXTS, "--stream", "--max-tokens", "9")
    assert output.splitlines() == [result["text"] for result in expected]
    output = invoked(server, "translate", TEXTS[0], "", "--stream", "--max-tokens", "9", status=1)
    assert expected[0]["text"] in output
    assert "input 1, ''" in output
    assert "1 of 2 inputs failed" in output
    assert "/nowhere.png" in invoked(server, "caption", "/nowhere.png", "--stream", status=1)


def test_a_terminal_shows_progress(server: str, tmp_path: Path) -> None:
    file = write_inputs(tmp_path, TEXTS)
    mine, theirs = pty.openpty()
    try:
        arguments = command("sentiment", "--url", server, "--file", file, "--output", tmp_path / "answers.jsonl")
        subprocess.run(arguments, stderr=theirs, check=True, timeout=60)
        assert b"3/3" in os.read(mine, 100_000)
    finally:
        os.close(mine)
        os.close(theirs)


REQUESTS = {task.verb: body_of(task).json for task in TASKS}


@pytest.mark.parametrize("task", REQUESTS)
def test_help_names_every_option(task: str) -> None:
    text = CliRunner().invoke(main, ["ask", task, "--help"], terminal_width=500).output
    for name, field in REQUESTS[task].members().items():
        if name != "inputs":
            assert f" --{name.replace('_', '-')} " in text
        if field.description and name not in ("inputs", "stream"):
            assert field.description in " ".join(text.split())
    assert "Name of a model in" in text


def test_a_register_is_asked_for(server: str) -> None:
    output = invoked(server, "translate", "--register", "formal", TEXTS[0])
    [formal] = plain(server, "/v1/translate", inputs=TEXTS[0], register="formal")
    assert output == f"{formal['text']}\n"
    assert "has no register casual" in invoked(server, "translate", "--register", "casual", TEXTS[0], status=1)


@pytest.mark.parametrize(("alone", "note"), [(True, ""), (False, "'x': ")])
def test_an_answer_that_the_model_is_unsure_of_is_noted_beside_the_output(
    alone: bool, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {"text": "y", "confidence": 0.2, "unsure": True, "model": "m", "version": 1}
    printer("text", "tokens", alone=alone)(Line(0, "translate", "x", result=result))
    shown = capsys.readouterr()
    assert shown.out == ("y\n" if alone else "y\tx\n")
    assert shown.err == f"{note}the model is unsure: confidence 0.20\n"
