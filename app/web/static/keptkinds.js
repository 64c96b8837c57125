// What a kept state is good for, by the task of its model: how new input is read, how an ending is answered, and how both
// answers are shown.

import { readCsv } from "./csv.js";
import { element, table } from "./dom.js";
import { modelsWhere } from "./models.js";
import { drawShares, labelWords } from "./results.js";
import { drawVerdict } from "./verdict.js";
import { number, percent, say } from "./words.js";

const NEXT = 5; // next tokens to show
const LABELS = 5; // most probable labels to show
const ENDING = 16; // tokens that continue an ending

const TEXTS = {
  unit: "tokens",
  advice: "writeFirst",
  whole: (text) => text,
  inputs: (text, known) => text.slice(known.length),
  settled: (text) => text.replace(/(^|\s+)\S*\s*$/, ""), // the service reads the last word again
  isNothing: (inputs) => inputs === "",
  count: (_, usage) => usage.source_tokens,
};

const ROWS = {
  unit: "rows",
  advice: "writeNumbersFirst",
  whole: (text) => text.slice(0, text.lastIndexOf("\n") + 1), // the last line may still grow
  inputs: rowsSince,
  settled: (text) => text,
  isNothing: (inputs) => rowsOf(inputs) === 0,
  count: rowsOf,
};

const SOURCES = { text: TEXTS, series: ROWS };

const LABEL = {
  draw: drawVerdict,
  summary: ({ label, score }) => `${labelWords(label)}, ${say("probability", { percent: percent(score) })}`,
};

const TASKS = {
  sentiment: { ...LABEL, ...answeredAt("v1/sentiment") },
  classification: { ...LABEL, ...answeredAt("v1/classify"), draw: drawLabel },
  completion: {
    path: "v1/states",
    options: {},
    after: { path: "v1/complete", options: { max_tokens: 1, next_tokens: NEXT } },
    ending: { path: "v1/complete", options: { max_tokens: ENDING } },
    draw: drawNext,
    summary: ({ next }) => next.slice(0, 3).map(({ text, probability }) => `${tokenWords(text)} ${percent(probability)}`).join(", "),
    drawEnding: ({ text }, ending, lang) => [element("p", { className: "sentence kept", lang }, element("span", { textContent: ending }), text)],
    endingSummary: ({ text }, ending) => ending + text,
  },
  forecasting: {
    ...answeredAt("v1/forecast"),
    draw: drawValues,
    summary: ({ values, targets }) => targets.map((name, at) => `${name} ${values.map((row) => number(row[at])).join(", ")}`).join("; "),
  },
};

/** The models that carry a state and have a view here, by task. */
export function modelsKept() {
  return Object.keys(TASKS).flatMap((task) => modelsWhere((model) => model.carries_state && model.task === task && model.source in SOURCES));
}

/**
 * Of a model: `path` and `options` read new input and return a state; `after` answers from that state if the same request
 * does not; `ending` answers an ending. `whole(text)` is what can be read of a text while it is typed, `inputs(text, known,
 * model)` what it has beyond its beginning `known`, `settled(text)` its beginning that is not read again when it goes on, and
 * `count(inputs, usage)` a number of its `unit`.
 */
export function kindOf({ task, source }) {
  return { ...SOURCES[source], ...TASKS[task] };
}

/** A task whose answer returns the state. */
function answeredAt(path) {
  return { path, options: { return_state: true }, ending: { path, options: {} } };
}

/** The rows of a CSV, as columns by name, that come after those of its beginning `known`. */
function rowsSince(text, known, { series: { features } }) {
  const { columns } = readCsv(text, features);
  const before = known ? readCsv(known, features).labels.length : 0;
  return Object.fromEntries(Object.entries(columns).map(([name, { values }]) => [name, values.slice(before)]));
}

function rowsOf(inputs) {
  return [inputs].flat().reduce((sum, columns) => sum + (Object.values(columns)[0]?.length ?? 0), 0);
}

function drawLabel({ label, scores }) {
  const shares = Object.entries(scores).sort(([, one], [, other]) => other - one).slice(0, LABELS);
  return [
    element("strong", { className: "label", textContent: labelWords(label) }),
    element("ol", { className: "shares" }, ...drawShares(shares.map(([name, share]) => [labelWords(name), share]))),
  ];
}

function drawNext({ next }) {
  const shares = drawShares(next.map(({ text, probability }) => [tokenWords(text), probability]));
  return [element("p", { className: "hint", textContent: say("keptNext") }), element("ol", { className: "shares" }, ...shares)];
}

function tokenWords(text) {
  return text === "<eos>" ? say("theEnd") : text.replace(/^ /, "␣");
}

function drawValues({ values, targets }) {
  const rows = values.map((row, at) => [`+${at + 1}`, ...row.map((value) => number(value))]);
  const about = say("forecastTable");
  return [element("div", { className: "scrolled", tabIndex: 0, role: "group", ariaLabel: about }, table(about, [say("keptStep"), ...targets], rows))];
}
