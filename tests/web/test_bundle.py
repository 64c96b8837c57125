"""The joined files of the page: what `/` links, how it is compressed and kept, and what cannot be joined."""

import gzip
import re
from pathlib import Path

import httpx
import pytest

from app.web.bundle import BUILT, STATIC, bundle, join_modules


def test_the_page_links_one_script_and_one_style_sheet(http: httpx.Client) -> None:
    page = http.get("/")
    links = re.findall(r'(?:href|src)="([^"]+\.(?:js|css))"', page.text)
    assert sorted(link.rpartition(".")[2] for link in links) == ["css", "js"]
    for link in links:
        file = http.get(f"/{link}")
        assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "default-src 'self'" in file.headers["Content-Security-Policy"]
        assert file.text == bundle().files[link.removeprefix(BUILT)].content.decode()


@pytest.mark.parametrize("path", ["/", *(f"/{BUILT}{name}" for name in bundle().files)])
def test_files_are_compressed_for_browsers_that_take_it(http: httpx.Client, path: str) -> None:
    with http.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        content = gzip.decompress(b"".join(packed.iter_raw()))
    plain = http.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == content
    for answer in (packed, plain):
        assert answer.headers["Vary"] == "Accept-Encoding"


def test_a_page_that_a_browser_has_is_not_sent_again(http: httpx.Client) -> None:
    tag = http.get("/").headers["ETag"]
    again = http.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get("/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_name_of_another_version_is_not_found(http: httpx.Client) -> None:
    assert http.get(f"/{BUILT}page-0000000000000000.js").status_code == 404


def test_all_modules_and_style_sheets_are_joined() -> None:
    joined = {
        name.partition("-")[0] + Path(name).suffix: file.content.decode() for name, file in bundle().files.items()
    }
    apart = {"vendor", "docs"}  # /docs is a page of its own
    modules = [path for path in STATIC.rglob("*.js") if not apart & set(path.relative_to(STATIC).parts)]
    for module in modules:
        name = "$" + re.sub(r"\W", "_", str(module.relative_to(STATIC).with_suffix("")))
        assert joined["page.js"].count(f"const {name} = ") == 1, module
    for sheet in (path for path in STATIC.rglob("*.css") if not apart & set(path.relative_to(STATIC).parts)):
        assert sheet.read_text() in joined["page.css"], sheet


@pytest.mark.parametrize(
    ("modules", "told"),
    [
        (
            {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'},
            "circle: a.js > b.js > a.js",
        ),
        ({"a.js": "export let count = 0;\n"}, "a.js: the bundle does not know this form: export let count"),
        ({"a.js": 'import * as b from "./b.js";\n', "b.js": ""}, "does not know this form: import"),
    ],
)
def test_what_cannot_be_joined_is_told(tmp_path: Path, modules: dict[str, str], told: str) -> None:
    for name, source in modules.items():
        (tmp_path / name).write_text(source)
    with pytest.raises(ValueError, match=re.escape(told)):
        join_modules(tmp_path, "a.js")


def test_modules_are_joined_in_the_order_of_their_imports(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.js").write_text(
        'import { one as first } from "./folder/b.js";\nimport words from "./c.js";\nfirst(words);\n'
    )
    (tmp_path / "folder" / "b.js").write_text(
        'import words from "../c.js";\nexport async function one() {\n  return words;\n}\n'
    )
    (tmp_path / "c.js").write_text("// A comment.\nexport default { a: 1 };\n")
    script = join_modules(tmp_path, "a.js")
    assert [script.index(f"const {name} = ") for name in ("$c", "$folder_b", "$a")] == sorted(
        script.index(f"const {name} = ") for name in ("$c", "$folder_b", "$a")
    )
    assert "const { one: first } = $folder_b;" in script
    assert "return { one };" in script
    assert "comment" not in script
