// A CSV as the page draws it: the numbers of its columns, and where they are in the text, so that one can be changed.
// The service reads the same text by itself; the rules are in docs/series.md.

const DELIMITERS = [",", ";", "\t", "|"];
const NONE = "\u001f"; // the delimiter of a file with one column
const MISSING = new Set(["", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"]);
const SPACES = " \u00a0\u2009\u202f'\u2019"; // between thousands, in some languages
const HINT = /^sep=([,;\t|])\r?$/i; // for Excel, in the first line
const LONGEST = 100_000; // characters of a header
const OTHER = { ".": ",", ",": "." };
const NUMBER = Object.fromEntries(Object.entries(OTHER).map(([mark, other]) => [mark, numberWith(mark, other)]));

/**
 * The columns `names` of a CSV: `{ labels, columns, mark, delimiter }`; `columns` has for each name of the header the
 * `values`, of which a missing one is null, and the `fields`: `{ from, to, text }`. A label is the first field of a row,
 * or the number of the row if that is one of the `names`.
 */
export function readCsv(text, names) {
  const { start, delimiter } = beginning(text, names);
  const [header = [], ...rows] = recordsOf(text, start, delimiter).filter((fields) => fields.length > 1 || fields[0].text.trim());
  while (rows.length && rows.at(-1).every((field) => !field.text.trim())) rows.pop();
  const named = header.map((field) => field.text.trim());
  const places = names.map((name) => [name, named.indexOf(name)]).filter(([, place]) => place >= 0);
  const fieldsOf = (place) => rows.map((row) => row[place] ?? { from: 0, to: 0, text: "" });
  const mark = markOf(places.flatMap(([, place]) => fieldsOf(place)), delimiter === ";" ? "," : ".");
  const columns = places.map(([name, place]) => [name, { fields: fieldsOf(place), values: fieldsOf(place).map((field) => numberOf(field.text, mark)) }]);
  const labels = rows.map((row, at) => (names.includes(named[0]) ? "" : row[0].text.trim()) || String(at + 1));
  return { labels, columns: Object.fromEntries(columns), mark, delimiter };
}

/** The text with another number of `digits` decimals in a field. */
export function withNumber(text, { from, to }, { mark, delimiter }, value, digits) {
  const written = value.toFixed(digits).replace(".", mark);
  return text.slice(0, from) + (written.includes(delimiter) ? `"${written}"` : written) + text.slice(to);
}

/** The decimals of the fields, at most 4. */
export function decimalsOf(fields, mark) {
  return Math.min(4, Math.max(0, ...fields.map(({ text }) => text.trim().split(mark)[1]?.length ?? 0)));
}

/** The header and the last `count` rows of a text: `{ text, rows, shown }`; `rows` is how many it has. */
export function lastRows(text, count) {
  const lines = text.split(/\r\n|\n|\r/).filter((line) => line.trim());
  const heads = HINT.test(lines[0] ?? "") ? 2 : 1;
  const rows = Math.max(0, lines.length - heads);
  if (rows <= count) return { text, rows, shown: rows };
  return { text: [...lines.slice(0, heads), ...lines.slice(-count), ""].join("\n"), rows, shown: count };
}

/** The text of a file: UTF-8, UTF-16 with a byte-order mark, or else the usual charset of spreadsheets in `language`. */
export async function textOf(file, language) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder(language === "ko" ? "euc-kr" : "windows-1252").decode(bytes);
  }
}

/** Where the header begins, and the delimiter: the one with which it names most columns. */
function beginning(text, names) {
  const blank = /^[\r\n\ufeff]*/.exec(text)[0].length;
  const first = text.slice(blank, blank + LONGEST);
  const hint = /^sep=([,;\t|])\r?\n/i.exec(first);
  if (hint) return { start: blank + hint[0].length, delimiter: hint[1] };
  const fits = DELIMITERS.map((delimiter) => {
    const found = recordsOf(first, 0, delimiter)[0].map((field) => field.text.trim());
    return { delimiter, named: names.filter((name) => found.includes(name)).length, all: found.length };
  });
  const best = fits.reduce((most, one) => (one.named - most.named || one.all - most.all) > 0 ? one : most);
  return { start: blank, delimiter: best.all > 1 ? best.delimiter : NONE };
}

/** The fields of each record; quotes may contain delimiters and ends of lines. */
function recordsOf(text, start, delimiter) {
  const records = [];
  let fields = [];
  let from = start;
  let quoted = false;
  for (let at = start; at <= text.length; at += 1) {
    const character = text[at];
    if (character === '"') quoted = !quoted; // two of them are one in the field
    if (quoted && at < text.length) continue;
    const ends = at === text.length || character === "\n" || character === "\r";
    if (!ends && character !== delimiter) continue;
    const raw = text.slice(from, at);
    fields.push({ from, to: at, text: raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw });
    from = at + 1;
    if (!ends) continue;
    records.push(fields);
    fields = [];
  }
  return records;
}

/** The decimal mark of a file: that of the first number that can be read in one way alone. */
function markOf(fields, usual) {
  const texts = fields.map(({ text }) => plain(text)).filter((text) => /[.,]/.test(text));
  for (const text of texts) {
    const marks = Object.keys(OTHER).filter((mark) => NUMBER[mark].test(text));
    if (marks.length === 1) return marks[0];
  }
  return texts.some((text) => text.includes(",")) ? usual : ".";
}

/** A number; null for a missing or unreadable one. */
function numberOf(text, mark) {
  const found = MISSING.has(plain(text).toLowerCase()) ? null : NUMBER[mark].exec(plain(text));
  if (!found || !(found[2] || found[4])) return null;
  return Number(`${found[1]}${found[2].replace(/[^0-9]/g, "")}.${found[4] || "0"}${found[5]}`);
}

function plain(text) {
  return text.trim().replaceAll("\u2212", "-");
}

/** Sign, whole part, its separator, decimals, exponent. */
function numberWith(mark, other) {
  const separator = `[${SPACES}${other}]`;
  return new RegExp(`^([+-]?)([1-9][0-9]{0,2}(?:(${separator})[0-9]{3})(?:\\3[0-9]{3})*|[0-9]*)(?:[${mark}]([0-9]*))?((?:[eE][+-]?[0-9]+)?)$`);
}
