"""A CSV with a header row to rows of a model's features, as spreadsheets and data services write it."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain

import numpy as np

from app.errors import EmptyInput, InputTooLong, UnsupportedMedia, counted, printable
from app.tasks.sources.csv_dates import first_before, has_dates
from app.tasks.sources.csv_numbers import Mark, UnreadableNumber, is_number, numbers_of
from app.tasks.sources.raw_series import CsvFile, Reading, check_names
from app.tasks.sources.series_place import SeriesPlace

CHARSETS = (
    *(
        "utf-8",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "ascii",
        "iso-8859-1",
        "iso-8859-2",
        "iso-8859-15",
        "windows-1250",
        "windows-1251",
    ),
    *("windows-1252", "euc-kr", "cp949", "shift_jis", "gb18030", "big5"),
)
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # of encodings
_DELIMITERS = ",;\t|"
_NONE = "\x1f"  # the delimiter of a file with one column
_USUAL: dict[str, Mark] = {",": ".", ";": ","}  # decimal mark by delimiter: files with decimal commas have semicolons
_LONGEST = 40  # characters of a field in an error
_SAMPLE = 20  # rows that tell which column has dates
_LONGEST_LINE = 1_000_000  # characters; the reader holds the interpreter until it has read a line


def read_csv(file: CsvFile, place: SeriesPlace, *, most: int) -> Reading:
    """The rows of a CSV of at most `most` steps. Raises InvalidSeries, EmptyInput, InputTooLong, UnsupportedMedia."""
    text = _decoded(file, place)
    if "\0" in text[:_LONGEST_LINE].partition("\n")[0]:
        raise place.refused(
            "it has NUL characters; send UTF-8, or name the charset: text/csv; charset=utf-16le", line=1
        )
    start, delimiter = _beginning(text, place)
    header, rows, lines = _table(text[start:], text.count("\n", 0, start), delimiter, place, most)
    if not rows:
        raise EmptyInput("the CSV has no row of numbers; send at least one after the header", input=place.index)
    _check_order(header, rows, lines, place)
    columns = [header.index(name) for name in place.features]
    fields = list(chain.from_iterable([row[column] for column in columns] for row in rows))
    try:
        numbers = numbers_of(fields, usual=_USUAL.get(delimiter), columns=len(columns))
    except UnreadableNumber as error:
        row, column = divmod(error.index, len(columns))
        raise place.refused(
            f"'{printable(fields[error.index], most=_LONGEST)}' {error.why}; send numbers written in one way, such as "
            "12.5, and an empty field for a missing one",
            row=row,
            column=place.features[column],
            line=lines[row],
        ) from None
    return Reading(np.array(numbers).reshape(len(rows), -1), lines)


def _decoded(file: CsvFile, place: SeriesPlace) -> str:
    charset = next((charset for mark, charset in _MARKS if file.content.startswith(mark)), file.charset or "utf-8")
    if charset.lower().replace("latin1", "iso-8859-1") not in (*CHARSETS, "utf8", "utf-8-sig"):
        raise UnsupportedMedia(f"the charset {printable(charset)} is not supported; send {', '.join(CHARSETS)}")
    try:
        return file.content.decode(charset)
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start) + 1
        raise place.refused(
            f"it is not {charset}: {error.reason}; send UTF-8, or name the charset in the content type, such as "
            "text/csv; charset=windows-1252",
            line=line,
        ) from None


def _beginning(text: str, place: SeriesPlace) -> tuple[int, str]:
    """Where the header begins, and the delimiter: the one with which the header names most features."""
    start = len(text) - len(text.lstrip("\r\n"))
    _check_line(text.find("\n", start) % (len(text) + 1) - start, text.count("\n", 0, start) + 1, place)
    beginning = text[start : start + _LONGEST_LINE + 1]
    first = beginning.partition("\n")[0].rstrip("\r")
    if first[:4].lower() == "sep=" and len(first) == 5 and first[4] in _DELIMITERS:  # a hint for Excel
        return start + beginning.find("\n") + 1, first[4]

    def fits(delimiter: str) -> tuple[int, int]:
        with suppress(csv.Error, StopIteration):
            names = _stripped(next(csv.reader(io.StringIO(beginning, newline=""), delimiter=delimiter)))
            return len(set(names) & set(place.features)), len(names)
        return 0, 0

    best = max(_DELIMITERS, key=fits)
    return start, best if fits(best)[1] > 1 else _NONE


def _lines(text: str, before: int, place: SeriesPlace) -> Iterator[str]:
    """The lines of a text. Raises InvalidSeries for one that is too long."""
    for number, line in enumerate(io.StringIO(text, newline=""), before + 1):
        _check_line(len(line), number, place)
        yield line


def _check_line(length: int, number: int, place: SeriesPlace) -> None:
    if length > _LONGEST_LINE:
        raise place.refused(
            f"it has {length} characters; the limit of a line is {_LONGEST_LINE}: send a row for each step", line=number
        )


def _table(
    text: str, before: int, delimiter: str, place: SeriesPlace, most: int
) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the rows without empty lines, and the line of each row; `before` are the lines before the text."""
    reader = csv.reader(_lines(text, before, place), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    header: list[str] = []
    try:
        for row in reader:
            line = before + reader.line_num
            if not header:
                header = _checked_header(_stripped(row), line, place) if _has_content(row) else []
            elif row:
                rows.append(_checked_row(row, header, line, len(rows), place))
                lines.append(line)
            if len(rows) > most and _has_content(row):
                raise InputTooLong(
                    f"the CSV has more than {most} rows; send the last ones", input=place.index, limit=most
                )
    except csv.Error as error:
        raise place.refused(f"it is not a valid CSV: {printable(str(error))}", line=before + reader.line_num) from None
    if not header:
        raise EmptyInput(f"the CSV is empty; send a header row with names, then numbers; {place.reads}", input=0)
    while rows and not _has_content(rows[-1]):  # spreadsheets write empty rows at the end
        rows.pop()
    return header, rows, lines[: len(rows)]


def _checked_header(names: list[str], line: int, place: SeriesPlace) -> list[str]:
    filled = [name for name in names if name]
    if not set(place.features) <= set(names) and 2 * sum(map(is_number, filled)) >= len(filled):
        raise place.refused(f"the first row has numbers; send the names of the columns first. {place.reads}", line=line)
    check_names(names, place, advice=f"; line {line} is taken as the header")
    twice = next((name for name in place.features if names.count(name) > 1), None)
    if twice is not None:
        raise place.refused("two columns have this name; leave one of them out", column=twice, line=line)
    return names


def _checked_row(row: list[str], header: list[str], line: int, index: int, place: SeriesPlace) -> list[str]:
    if len(row) < len(header) or any(field.strip() for field in row[len(header) :]):
        raise place.refused(f"it has {counted(len(row), 'field')}, and the header {len(header)}", row=index, line=line)
    return row


def _check_order(header: list[str], rows: list[list[str]], lines: list[int], place: SeriesPlace) -> None:
    """Raises InvalidSeries for dates that go back. They are those of the first column that has dates."""
    others = [column for column, name in enumerate(header) if name not in place.features]
    column = next((column for column in others if has_dates([row[column] for row in rows[:_SAMPLE]])), None)
    if column is None:
        return
    index = first_before([row[column] for row in rows])
    if index is not None:
        raise place.refused(
            f"{printable(rows[index][column].strip(), most=_LONGEST)} is before the date of the row above; send the "
            "oldest row first",
            row=index,
            column=header[column],
            line=lines[index],
        )


def _stripped(row: Sequence[str]) -> list[str]:
    return [field.strip() for field in row]


def _has_content(row: Sequence[str]) -> bool:
    return any(field.strip() for field in row)
