"""Unusual white space and invisible characters."""

import itertools
import json
import unicodedata
from pathlib import Path

import pytest

from app.store.model_store import open_version
from app.store.text_input import TokenizerUse
from app.text.tokenizer import TextTokenizer
from app.text.white_space import ends_in_space, is_blank, plain
from tests.tiny_store import tiny_tokenizer

SHIPPED = [
    path
    for path in sorted((Path(__file__).parents[2] / "model_store").glob("*/*/manifest.json"))
    if json.loads(path.read_bytes()).get("tokenizer")
]
VARIANTS = [
    "Open\u00a0file now",
    "Open\u3000file now",
    "Open\tfile\nnow",
    "Open\r\nfile\u2028now",
    "Open  file   now",
    " Open file now ",
    "\ufeffOpen file now",
    "Open \ufefffile now",
    "Op\u00aden fi\u200ble n\u200dow\u200b",
    "Open\u200b \u200bfile\u2003\u200c now\u2060",
    "Open\x1cfile\x85now",
    "Open\u3164file now",
    "Open\ufe0f file\u034f now\U000e0020",
    "Open\u115ffile\u1160 now",
    "Open\u180b file\u17b4 now\U0001d173",
]


@pytest.mark.parametrize("text", VARIANTS)
def test_a_text_is_plain(text: str) -> None:
    assert plain(text)[0] == "Open file now"


@pytest.mark.parametrize("manifest", SHIPPED, ids=lambda path: path.parents[1].name)
def test_shipped_models_read_plain_text(manifest: Path) -> None:
    version = open_version(manifest.parent)
    assert version.manifest.tokenizer is not None
    tokenizer = TextTokenizer(version.folder, version.manifest.tokenizer)
    expected = tokenizer.encode("Open file now")
    for text in VARIANTS:
        assert tokenizer.encode(text) == expected
        assert tokenizer.encode_prefix(text) == tokenizer.encode_prefix("Open file now")
        assert len(tokenizer.pieces(text)) == len(expected)


def test_other_models_read_a_text_as_it_is(tmp_path: Path) -> None:
    file = tiny_tokenizer(tmp_path).name
    kept, reads_plain = (TextTokenizer(tmp_path, TokenizerUse(file=file, white_space=how)) for how in ("kept", "plain"))
    assert kept.encode("a  film") != kept.encode("a film")
    assert reads_plain.encode("a  film") == kept.encode("a film")


@pytest.mark.parametrize("text", [*VARIANTS, "so\u00adft hyphen", "a\u200b", "\u200ba b"])
def test_places_lead_back_to_the_text(tmp_path: Path, text: str) -> None:
    tokenizer = TextTokenizer(tmp_path, TokenizerUse(file=tiny_tokenizer(tmp_path).name, white_space="plain"))
    pieces = tokenizer.pieces(text)
    for before, piece in itertools.pairwise(pieces):
        assert before.start <= before.end <= piece.end
    assert plain("".join(text[piece.start : piece.end] for piece in pieces))[0] == plain(text)[0]


BLANK = ["\ufe0f", "\u034f", "\u115f", "\u1160", "\U000e0001\U000e007f", "\u180b\u17b5"]


@pytest.mark.parametrize("text", ["", " ", "\t\r\n\u00a0\u2003\u3000", "\u200b", "\u200b\ufeff\u00ad \u2060", *BLANK])
def test_blank(text: str) -> None:
    assert is_blank(text)
    assert plain(text)[0] == ""
    assert not is_blank(text + "a")


@pytest.mark.parametrize("text", ["파일을 저장하고 창을 닫아 주세요.", "값이 없습니다", "뷁"])
def test_decomposed_hangul_is_read_as_it_is(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    assert plain(decomposed)[0] == decomposed
    assert unicodedata.normalize("NFC", plain(decomposed)[0]) == text


@pytest.mark.parametrize(
    ("text", "ends"), [("a", False), ("a ", True), ("a\u200b", False), ("a \u200b", True), ("", False)]
)
def test_ends_in_space(text: str, ends: bool) -> None:
    assert ends_in_space(text) is ends
