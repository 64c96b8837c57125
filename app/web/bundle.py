"""The demo page as browsers load it: one script and one style sheet, joined from the files in `static/`.

A page of seventy files costs a slow link many round trips. `/` links the joined files by a hash of their content, so a
browser keeps them for a year and asks again only after an update. Each module becomes a function, called once, that
returns what the module exports.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath

STATIC = Path(__file__).parent / "static"
BUILT = "assets/web/built/"
_JAVASCRIPT = "text/javascript; charset=utf-8"
_LINE_PLOTS = "assets/web/vendor/uplot/uPlot.esm.js"  # loaded on its own, when it is first needed
_IMPORT = re.compile(r'^import (?:\{([^}]*)\}|(\w+)) from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*? |class |const )(\w+)", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*(?s:.)*?\*/)\n", re.MULTILINE)
_STYLE = re.compile(r' *<link rel="stylesheet" href="assets/web/([^"]+)">\n')
_SCRIPT = re.compile(r'<script type="module" src="assets/web/([^"]+)">')


@dataclass(frozen=True)
class BuiltFile:
    """A file with its media type, as it is and compressed."""

    content: bytes
    media_type: str

    @cached_property
    def tag(self) -> str:
        """A hash of the content."""
        return sha256(self.content).hexdigest()[:16]

    @cached_property
    def packed(self) -> bytes:
        """The content, compressed by gzip."""
        return gzip.compress(self.content, 9, mtime=0)


@dataclass(frozen=True)
class Bundle:
    """The page and the files that it links, by name below `BUILT`."""

    page: str
    files: dict[str, BuiltFile]


def bundle() -> Bundle:
    """The page, joined once and anew after a file has changed."""
    return _joined(max(path.stat().st_mtime_ns for path in STATIC.rglob("*")))


def built_file(name: str) -> BuiltFile | None:
    """A joined file by its name, also of the page before a change: a browser may still load it."""
    bundle()
    return _BUILT_FILES.get(name)


_BUILT_FILES: dict[str, BuiltFile] = {}


@lru_cache(maxsize=1)
def _joined(_changed: int) -> Bundle:
    page = (STATIC / "index.html").read_text(encoding="utf8")
    styles = "".join((STATIC / name).read_text(encoding="utf8") for name in _STYLE.findall(page))
    [script] = _SCRIPT.findall(page)
    plots = _named("plots", "js", _LINE_PLOTS.removeprefix("assets/web/"))
    style = _built("page", "css", "text/css; charset=utf-8", styles)
    code = _built("page", "js", _JAVASCRIPT, join_modules(STATIC, script).replace(_LINE_PLOTS, BUILT + plots[0]))
    page = _SCRIPT.sub(f'<script type="module" src="{BUILT}{code[0]}">', page)
    page = _STYLE.sub("", page).replace("</head>", f'  <link rel="stylesheet" href="{BUILT}{style[0]}">\n</head>', 1)
    files = dict((plots, style, code))
    _BUILT_FILES.update(files)
    return Bundle(page, files)


def _named(stem: str, ending: str, path: str) -> tuple[str, BuiltFile]:
    return _built(stem, ending, _JAVASCRIPT, (STATIC / path).read_text(encoding="utf8"))


def _built(stem: str, ending: str, media_type: str, text: str) -> tuple[str, BuiltFile]:
    file = BuiltFile(text.encode(), media_type)
    return f"{stem}-{file.tag}.{ending}", file


def join_modules(folder: Path, entry: str) -> str:
    """One script that runs the module `entry` below `folder` after all modules that it imports. Raises ValueError for
    an import in a circle, and for a form of `import` or `export` that the modules of the page do not use."""
    return "".join(_modules(folder, PurePosixPath(entry), done=set(), above=()))


def _modules(folder: Path, path: PurePosixPath, done: set[str], above: tuple[str, ...]) -> Iterator[str]:
    if str(path) in above:
        raise ValueError(f"modules import each other in a circle: {' > '.join([*above, str(path)])}")
    if str(path) in done:
        return
    source = (folder / path).read_text(encoding="utf8")
    for _, _, imported in _IMPORT.findall(source):
        yield from _modules(folder, _resolved(path, imported), done, (*above, str(path)))
    done.add(str(path))
    yield _function(path, source)


def _function(path: PurePosixPath, source: str) -> str:
    """The module as a constant: what it exports."""
    exported = [name for _, name in _EXPORT.findall(source)]
    body = _IMPORT.sub(lambda found: _binding(path, *found.groups()), _COMMENT.sub("", source))
    body = _EXPORT.sub(r"\1\2", body)
    if _DEFAULT.search(body):
        body, exported = _DEFAULT.sub("const exportedDefault = ", body), [*exported, "default: exportedDefault"]
    if left := _LEFT.search(body):
        raise ValueError(f"{path}: the bundle does not know this form: {left.group()}")
    return f"const {_name(path)} = (() => {{\n{body}return {{ {', '.join(exported)} }};\n}})();\n"


def _binding(path: PurePosixPath, names: str | None, default: str | None, imported: str) -> str:
    module = _name(_resolved(path, imported))
    if names is None:
        return f"const {default} = {module}.default;"
    parts = [name.strip().replace(" as ", ": ") for name in names.split(",") if name.strip()]
    return f"const {{ {', '.join(parts)} }} = {module};"


def _resolved(path: PurePosixPath, imported: str) -> PurePosixPath:
    parts: list[str] = []
    for part in (path.parent / imported).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _name(path: PurePosixPath) -> str:
    return "$" + re.sub(r"\W", "_", str(path.with_suffix("")))
