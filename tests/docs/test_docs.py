"""The docs name everything that exists, and nothing else."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi import FastAPI
from starlette.routing import Mount, Route

from app.api import pages, problems
from app.cli.layouts import LISTED
from app.cli.main import main
from app.engine_metrics import ServiceFigures
from app.errors import ImportFailed
from app.importers.checkpoint import Checkpoint
from app.importers.layouts import LAYOUTS
from app.main import create_app
from app.metrics import Metrics
from app.settings import Settings
from app.store.manifest import Manifest
from app.store.text_input import TokenizerUse
from app.text.word_tokenizers import RULES, split_of
from tests.docs import generated

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for folder in (".", "docs", "docs/adr", "docs/api", "docs/ko", "benchmarks", "model_store/*/*")
    for page in ROOT.glob(f"{folder}/*.md")
)
API_PAGES = sorted(ROOT.glob("docs/api/*.md"))


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf8")


def rows(page: str, *, under: str) -> Iterator[list[str]]:
    """Cells of the table rows under a heading of `page`, without the head of the table."""
    section = re.split(r"^##+ ", read(page).partition(under)[2], maxsplit=1, flags=re.MULTILINE)[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def operations() -> list[tuple[str, str]]:
    """Methods and paths. A path with a version is documented with that of its model."""
    paths = app().openapi()["paths"].items()
    return [(method.upper(), path) for path, methods in paths for method in methods if "/versions/" not in path]


def app() -> FastAPI:
    return create_app(Settings(), engines=())


def test_every_setting_is_documented_with_its_default() -> None:
    documented = [row[:4] for row in rows("docs/settings.md", under="# Settings")]
    assert documented == [
        [f"`{name}`", f"`UNROLL_{name.upper()}`", f"`--{name.replace('_', '-')}`", f"`{field.default}`"]
        for name, field in Settings.model_fields.items()
    ]


def test_every_layout_is_documented_with_what_it_asks() -> None:
    documented: dict[str, set[str]] = {}
    for names, _, _, options in rows("docs/importing.md", under="## Layouts"):
        for name in re.findall(r"`([^`]+)`", names):
            documented[name] = set(re.findall(r"`([^`]+)`", options))
    assert documented.keys() == LAYOUTS.keys()
    for name, layout in LAYOUTS.items():
        try:
            asked = {option.name for option in layout.options(Checkpoint())}
        except (ImportFailed, IndexError, ValueError):  # its options follow from the structure of a network
            assert documented[name], name
        else:
            assert documented[name] == asked, name


def test_every_field_of_a_tokenizer_is_documented() -> None:
    documented = [row[0].strip("`") for row in rows("docs/tokenizers.md", under="## Fields")]
    assert documented == list(TokenizerUse.model_fields)


def test_every_rule_for_words_is_documented_with_its_split() -> None:
    documented = {row[0].strip("`"): row[-1].split("`")[1] for row in rows("docs/tokenizers.md", under="## Rules")}
    assert documented == {rules: split_of(rules) for rules in RULES}


def test_help_names_every_setting() -> None:
    answer = CliRunner().invoke(main, ["serve", "--help"], terminal_width=500)
    assert answer.exit_code == 0
    text = " ".join(answer.output.split())
    for name, field in Settings.model_fields.items():
        assert f" --{name.replace('_', '-')} " in text
        assert f"{field.description} [default: {field.default}; env: UNROLL_{name.upper()}]" in text


def test_every_metric_is_documented_with_its_type() -> None:
    metrics = Metrics()
    metrics.watch(lambda: ServiceFigures({}, 0, {}, 0))
    there = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics.render().decode(), re.MULTILINE))
    there = {name: kind for name, kind in there.items() if not name.endswith("_created")}
    documented = {row[0].strip("`"): row[1] for row in rows("docs/api/operation.md", under="## `GET /metrics`")}
    assert documented == there


def test_every_operation_is_documented() -> None:
    there = {f"{method} {path}" for method, path in operations()}
    hidden = [route for route in (*pages.router.routes, *app().routes) if isinstance(route, Route)]
    there |= {f"GET {route.path}" for route in hidden}
    documented = re.findall(r"^\| \[?`([A-Z]+ /[^`]*)`", read("docs/api/README.md"), re.MULTILINE)
    assert sorted(documented) == sorted(there)
    for mount in app().routes:
        if isinstance(mount, Mount):
            assert f"`{mount.path}`" in read("docs/api/README.md")


def test_every_operation_for_programs_has_a_section_with_a_curl_example() -> None:
    text = "\n".join(page.read_text(encoding="utf8") for page in API_PAGES)
    sections = re.split(r"^##+ ", text, flags=re.MULTILINE)
    for method, path in operations():
        (section,) = [section for section in sections if section.startswith(f"`{method} {path}`")]
        place = re.sub(r"\{\w+\}", lambda _: r"[\w.-]+", path)
        assert re.search(rf"^curl .*http://127\.0\.0\.1:8000{place}\b", section, re.MULTILINE)


def test_every_problem_is_documented_with_its_status() -> None:
    documented = {row[0].strip("`"): int(row[1]) for row in rows("docs/api/errors.md", under="## Problems")}
    assert documented == {kind.slug: kind.status for kind in problems.ALL_KINDS}


def test_manifest_schema_is_current() -> None:
    assert generated.SCHEMA.read_text(encoding="utf8") == generated.manifest_schema(), "run: make docs"


def test_the_list_of_layouts_is_current() -> None:
    assert LISTED.read_text(encoding="utf8") == generated.listed_layouts(), "run: make docs"


def test_generated_parts_are_current() -> None:
    parts = set[str]()
    for page in ROOT.glob("docs/**/*.md"):
        text = page.read_text(encoding="utf8")
        assert text == generated.current(text), f"{page.relative_to(ROOT)} is stale; run: make docs"
        parts |= set(re.findall(r"<!-- generated: (\w+) -->", text))
    assert parts == generated.PARTS.keys()


def test_manifests_of_the_model_store_fit() -> None:
    for path in ROOT.glob("model_store/*/*/manifest.json"):
        Manifest.model_validate_json(path.read_bytes())


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf8")), link


def test_every_page_is_in_an_index() -> None:
    """docs/README.md links to each page, docs/api/README.md to those of the API."""
    for folder in ("docs", "docs/api"):
        index = read(f"{folder}/README.md")
        pages = {page.name for page in (ROOT / folder).glob("*.md")} - {"README.md"}
        assert {page for page in pages if f"({page}" not in index} == set()


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_that_docs_name_exist(page: Path) -> None:
    named = re.findall(r"`((?:app|training|tests|docs|\.ci)/[\w./-]*)`", page.read_text(encoding="utf8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_readme_is_short(page: str) -> None:
    assert len(read(page).splitlines()) <= 80


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_exist(page: str) -> None:
    there = re.findall(r"^([a-z][a-z0-9%-]*):", read("Makefile"), re.MULTILINE)
    named = re.findall(r"(?:`|^(?:\$ )?)make (?:[A-Z]+=\S+ )*([a-z][a-z0-9-]*)", read(page), re.MULTILINE)
    for target in named:
        assert any(fnmatch(target, pattern.replace("%", "*")) for pattern in there), target


def test_decisions_are_numbered_and_have_their_parts() -> None:
    decisions = sorted(ROOT.glob("docs/adr/*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf8")
        parts = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "What would change our mind"], path.name
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
