"""CSVs on the page: it draws the numbers that the service reads, and writes a changed one as the file writes them."""

from typing import Any

import pytest

from tests.tasks.test_csv_series import GOOD
from tests.web.conftest import Visit

pytestmark = pytest.mark.browser
READ = """async ([bytes, names]) => {
    const { readCsv, textOf } = await import("/assets/web/csv.js");
    const text = await textOf(new File([new Uint8Array(bytes)], "a.csv"), "en");
    const { labels, columns } = readCsv(text, names);
    return [labels, names.map((name) => columns[name]?.values)];
}"""


def read(visit: Visit, text: str | bytes, names: list[str]) -> Any:
    content = text.encode() if isinstance(text, str) else text
    return visit.page.evaluate(READ, [list(content), names])


def test_the_page_reads_what_the_service_reads(visit: Visit) -> None:
    visit.beside_modules()
    for name, (text, rows) in GOOD.items():
        _, columns = read(visit, text, ["heat", "wind"])
        expected = [
            [value if abs(value) < float("inf") else None for value in column] for column in zip(*rows, strict=True)
        ]
        assert columns == expected, name


def test_labels_are_dates_or_numbers_of_rows(visit: Visit) -> None:
    visit.beside_modules()
    assert read(visit, "date,heat\n2012-01-01,1\n,2\n", ["heat"])[0] == ["2012-01-01", "2"]
    assert read(visit, "heat,wind\n5,1\n6,2\n", ["heat"])[0] == ["1", "2"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("heat,wind\n12.5,1234\n-3.0,0.25\n", "heat,wind\n12.5,1234\n7.5,0.25\n"),
        ("heat;wind\r\n12,5;1\r\n-3,0;2\r\n", "heat;wind\r\n12,5;1\r\n7,5;2\r\n"),
        ('day,heat,wind\n"a,b","12,5",1\n"c","-3,0",2', 'day,heat,wind\n"a,b","12,5",1\n"c","7,5",2'),
    ],
)
def test_a_changed_number_is_written_as_the_others(visit: Visit, before: str, after: str) -> None:
    changed = visit.beside_modules().evaluate(
        """async (text) => {
            const { decimalsOf, readCsv, withNumber } = await import("/assets/web/csv.js");
            const read = readCsv(text, ["heat", "wind"]);
            const { fields } = read.columns.heat;
            return withNumber(text, fields[1], read, 7.5, decimalsOf(fields, read.mark));
        }""",
        before,
    )
    assert changed == after


@pytest.mark.parametrize("hint", ["", "sep=,\n"])
def test_of_a_long_file_the_last_rows_are_kept(visit: Visit, hint: str) -> None:
    text = hint + "heat\n" + "".join(f"{number}\n" for number in range(1000))
    last = visit.beside_modules().evaluate(
        "async (text) => (await import('/assets/web/csv.js')).lastRows(text, 3)", text
    )
    assert last == {"text": f"{hint}heat\n997\n998\n999\n", "rows": 1000, "shown": 3}


def test_files_in_other_charsets(visit: Visit) -> None:
    page = visit.beside_modules()
    for text, charset, language in (("wärme\n1\n", "windows-1252", "en"), ("기온\n1\n", "cp949", "ko")):
        read_text = page.evaluate(
            """async ([bytes, language]) => {
                const { textOf } = await import("/assets/web/csv.js");
                return textOf(new File([new Uint8Array(bytes)], "a.csv"), language);
            }""",
            [list(text.encode(charset)), language],
        )
        assert read_text == text
