// A series and its forecast: a panel for each column, the windows, and the hidden state below them.

import { disclosure, element, table } from "./dom.js";
import { Cursor } from "./plots/cursor.js";
import { heatmap } from "./plots/heatmap.js";
import { panel } from "./plots/panel.js";
import { drawScale, reachOf } from "./plots/scale.js";
import { answeredBy, drawFacts } from "./results.js";
import { backtest, columnOf, Forecasts } from "./forecasts.js";
import { number, say } from "./words.js";

const MOST_PANELS = 8;
const MOST_UNITS = 64; // that are shown: more rows would be thinner than a pixel

/**
 * The view of an `answer` to `series`. `change(name, at, value)` gets the number to which a point is moved. Returns
 * `{ root, rows, showSeries, showAnswer, say }`, which show changes in place.
 */
export function forecastView(series, answer, { digits, change }) {
  let forecasts = new Forecasts(series, answer);
  const { names, features } = answer;
  const shownNames = names.slice(0, MOST_PANELS);
  const labels = [...series.labels, ...forecasts.result.values.map((_, step) => `+${step + 1}`)];
  const cursor = new Cursor(labels.length);
  const readout = element("p", { className: "readout", role: "status" });
  const [facts, numbers] = [element("div"), element("div")];
  const panels = shownNames.map((name) => {
    const isTarget = forecasts.targets.includes(name);
    const move = features.includes(name) ? (at, value) => change(name, at, value) : null;
    const about = say(move ? "panelAbout" : "panelAboutTarget", { name, rows: series.labels.length });
    const made = panel({ about, role: say("panel"), count: labels.length, cursor, height: isTarget ? 150 : 84, unit: 10 ** -digits[name], change: move });
    return { name, ...made };
  });
  const memory = drawStates(() => forecasts, labels, cursor);

  function show() {
    for (const { name, show: showPanel } of panels) showPanel(forecasts.partsOf(name, cursor.at));
    describe();
  }

  function showNumbers() {
    facts.replaceChildren(...drawErrors(forecasts, digits));
    numbers.replaceChildren(forecastTable(forecasts, digits));
  }

  function describe() {
    const text = cursor.at === null ? say("pointAtSeries") : describeRow(forecasts, names, labels, cursor.at, digits);
    if (readout.textContent !== text) readout.textContent = text;
  }

  cursor.watch(show);
  show();
  showNumbers();
  const left = names.length > MOST_PANELS ? [element("p", { className: "hint", textContent: say("panelsLeft", { shown: MOST_PANELS, all: names.length }) })] : [];
  const root = element(
    "div",
    { className: "result forecast" },
    drawLegend(),
    readout,
    ...panels.map(({ name, root: image }) => element("figure", {}, element("figcaption", { textContent: name }), image)),
    ...left,
    memory.root,
    facts,
    drawFacts({ textContent: say("windowIs", { rows: forecasts.unit }) }, answeredBy(forecasts.result)),
    disclosure(say("asTable"), () => numbers),
  );
  return {
    root,
    rows: series.labels.length,
    showSeries(changed) {
      forecasts = forecasts.of(changed);
      show();
    },
    showAnswer(changed, answered) {
      forecasts = new Forecasts(changed, answered);
      show();
      showNumbers();
      memory.show();
    },
    say: (text) => (readout.textContent = text),
  };
}

function drawLegend() {
  const entry = (name) => element("li", {}, element("span", { className: `key ${name}` }), say(`line_${name}`));
  return element("ul", { className: "legend keys" }, ...["past", "next", "before", "then"].map(entry));
}

/** The row at the cursor in words: its numbers, and the forecast from the window that ends with it. */
function describeRow(forecasts, names, labels, at, digits) {
  const numbers = names.map((name) => [name, forecasts.numberAt(name, at)]).filter(([, value]) => value !== null);
  const row = say("rowIs", { label: labels[at], numbers: numbers.map(([name, value]) => `${name} ${number(value, { digits: digits[name] })}`).join(", ") });
  const window = at < forecasts.rows ? forecasts.windowAt(at) : null;
  if (!window) return row;
  const values = forecasts.targets.map((name) => `${name} ${columnOf(window.values, forecasts.targets, name).map((value) => number(value, { digits: digits[name] })).join(", ")}`);
  return `${row} ${say("windowThen", { first: labels[window.first], last: labels[window.last], values: values.join("; ") })}`;
}

/** The mean error of the forecasts of past windows, beside that of the last known number. */
function drawErrors(forecasts, digits) {
  const { windows, errors } = backtest(forecasts);
  if (!errors.length) return [];
  const facts = errors.map(({ name, error, persistence }) => ({
    textContent: say("meanError", { name, error: number(error, { digits: digits[name] + 1 }), persistence: number(persistence, { digits: digits[name] + 1 }) }),
  }));
  return [drawFacts({ textContent: say("backtested", { windows }) }, ...facts)];
}

function forecastTable({ result }, digits) {
  const rows = result.values.map((row, step) => [`+${step + 1}`, ...row.map((value, at) => number(value, { digits: (digits[result.targets[at]] ?? 2) + 1 }))]);
  return table(say("forecastTable"), [say("stepsAhead"), ...result.targets], rows);
}

/** The hidden state below each row: the units that change most, in the order of their last value. */
function drawStates(current, labels, cursor) {
  const states = current().states();
  const spread = (unit, rows) => Math.max(...rows.map((row) => row[unit])) - Math.min(...rows.map((row) => row[unit]));
  const known = states.filter(Boolean);
  const units = [...known[0].keys()].sort((one, other) => spread(other, known) - spread(one, known)).slice(0, MOST_UNITS);
  units.sort((one, other) => known.at(-1)[other] - known.at(-1)[one]);
  const valuesOf = (rows) => units.map((unit) => labels.map((_, at) => rows[at]?.[unit] ?? null));
  let values = valuesOf(states);
  let repaint = null;
  const reach = reachOf(known);
  const about = say("statesAbout", { units: units.length, rows: known.length });
  const describe = (row, column) => {
    const value = values[row][column];
    return value === null ? say("noState", { label: labels[column] }) : say("unitAt", { part: say("part_hidden"), unit: units[row], token: labels[column], value: number(value, { digits: 3 }) });
  };
  const height = Math.max(120, Math.min(260, units.length * 5));
  const image = heatmap({ about: `${about} ${say("arrows")}`, role: say("heatmap"), columns: shortest(labels), values, kind: "sign", reach, cursor, height, describe, renewed: (renew) => (repaint = renew) });
  return {
    root: element("div", { className: "memory" }, element("h4", { textContent: say("statesTitle") }), element("p", { className: "hint", textContent: say(current().isWindowed ? "statesOfWindows" : "statesOfRows") }), image, drawScale(false, reach)),
    show() {
      values = valuesOf(current().states());
      repaint(values);
    },
  };
}

/** Labels without the year, if all dates are in one. */
function shortest(labels) {
  const years = new Set(labels.filter((label) => !label.startsWith("+")).map((label) => /^(\d{4})-\d\d-\d\d$/.exec(label)?.[1]));
  return years.size === 1 && !years.has(undefined) ? labels.map((label) => label.replace(/^\d{4}-/, "")) : labels;
}
