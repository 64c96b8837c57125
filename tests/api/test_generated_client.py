"""A client that openapi-python-client generates from docs/openapi.json, used on a real server."""

import asyncio
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.api.operations import ADMIN_KEY, OPERATIONS
from tests.api.test_bad_input import png

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
NAME = "generated_unroll_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The generated package, and the output of the generator."""
    folder = tmp_path_factory.mktemp("generated")
    command = (sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--path", DOCUMENT)
    said = subprocess.run((*command, "--output-path", folder / NAME), capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    sys.path.insert(0, str(folder))
    try:
        yield SimpleNamespace(said=said.stdout + said.stderr, folder=folder / NAME)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
            del sys.modules[name]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{NAME}.{name}")


@pytest.fixture
def client(generated: SimpleNamespace, server: str) -> Any:
    return module("client").Client(base_url=server, timeout=30)


@pytest.fixture
def models(generated: SimpleNamespace) -> Any:
    return module("models")


def test_every_operation_is_a_function(generated: SimpleNamespace) -> None:
    """The generator does not support raw images, CSVs and lines, only forms and JSON. It leaves nothing else out."""
    left_out = set(re.findall(r"POST (\S+) within \w+\. Endpoint will not be generated", generated.said))
    assert left_out == {operation.path for operation in OPERATIONS if operation.takes_pieces}
    assert "Unable to process schema" not in generated.said
    reasons = set(
        re.findall(r"^(?!WARNING|Warning|Generating|Skipping|If you)([A-Z].*)$", generated.said, re.MULTILINE)
    )
    kinds = ("image/gif", "image/jpeg", "image/png", "image/webp", "text/csv", "application/x-ndjson")
    assert reasons <= {f"Unsupported content type {kind}" for kind in kinds}
    written = {path.stem for path in generated.folder.glob("api/*/*.py")} - {"__init__"}
    assert written == {operation.name for operation in OPERATIONS if not operation.takes_pieces}


def test_sentiment(client: Any, models: Any) -> None:
    body = models.SentimentRequest(inputs=["a good film", "돈이 아깝다"], explain=True)
    answer = module("api.tasks.sentiment").sync(client=client, body=body)
    assert isinstance(answer, models.SentimentAnswer)
    assert [result.model for result in answer.results] == ["sentiment-en", "sentiment-ko"]
    assert all(0 <= result.score <= 1 for result in answer.results)
    assert answer.results[0].explanation.labels == ["negative", "positive"]
    assert answer.usage.inputs == 2


def test_translation_drawn(client: Any, models: Any) -> None:
    body = models.TranslateRequest(inputs="save the file", temperature=0.8, seed=7, max_tokens=12, logprobs=1)
    answer = module("api.tasks.translate").sync(client=client, body=body)
    assert isinstance(answer, models.SentenceAnswer)
    (result,) = answer.results
    assert (result.seed, result.version) == (7, 1)
    assert isinstance(result.finish_reason, models.SentenceResultFinishReason)
    assert isinstance(result.tokens[0], models.EmittedToken)
    assert module("api.tasks.translate").sync(client=client, body=body).results[0].text == result.text


def test_pictures_in_a_form(client: Any, models: Any) -> None:
    pictures = [
        module("types").File(payload=BytesIO(png(size)), file_name="a.png", mime_type="image/png")
        for size in ((40, 30), (30, 40))
    ]
    answer = module("api.tasks.caption").sync(
        client=client, body=models.ImageFiles(images=pictures), beams=2, n_best=2, max_tokens=8
    )
    assert isinstance(answer, models.SentenceAnswer)
    assert [len(result.hypotheses) for result in answer.results] == [2, 2]


def test_models(client: Any, models: Any) -> None:
    answer = module("api.models.list_models").sync(client=client)
    assert isinstance(answer, models.ModelList)
    assert {"sentiment-en", "caption-en", "translate-en-ko", "lm-en"} <= {model.name for model in answer.models}


def test_models_asynchronously(client: Any, models: Any) -> None:
    answer = asyncio.run(module("api.models.list_models").asyncio(client=client))
    assert isinstance(answer, models.ModelList)


def test_error_is_a_typed_problem(client: Any, models: Any) -> None:
    answer = module("api.tasks.sentiment").sync_detailed(client=client, body=models.SentimentRequest(inputs=["a", " "]))
    assert answer.status_code == 422
    assert isinstance(answer.parsed, models.Problem)
    assert (answer.parsed.type_, answer.parsed.input_) == ("/problems/empty-input", 1)


def test_every_mistake_is_told(client: Any, models: Any) -> None:
    body = models.TranslateRequest(inputs="a", beams=99, top_p=0)
    problem = module("api.tasks.translate").sync(client=client, body=body)
    assert isinstance(problem, models.Problem)
    assert [mistake.where for mistake in problem.errors] == ["beams", "top_p"]


def test_administration_with_the_key(generated: SimpleNamespace, models: Any, administered: str) -> None:
    default = module("api.administration.set_default_version")
    body = models.DefaultRequest(version=1)
    administrator = module("client").AuthenticatedClient(base_url=administered, token=ADMIN_KEY)
    answer = default.sync("sentiment-en", client=administrator, body=body)
    assert isinstance(answer, models.DefaultVersion)
    assert answer.version == 1
    stranger = module("client").AuthenticatedClient(base_url=administered, token="guessed")
    problem = default.sync("sentiment-en", client=stranger, body=body)
    assert isinstance(problem, models.Problem)
    assert problem.status == 401
