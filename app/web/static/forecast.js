// The forecast of a series of numbers: a CSV is typed, chosen or dropped, or is the example, and its points are dragged.

import { decimalsOf, lastRows, readCsv, textOf, withNumber } from "./csv.js";
import { choice, element, said } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { fieldOf } from "./fields.js";
import { isImage, isTable, takeFiles } from "./files.js";
import { forecastView } from "./forecastview.js";
import { Job } from "./job.js";
import { Latest } from "./latest.js";
import { modelsKnown, modelsOf, whenModels } from "./models.js";
import { problemTitle } from "./problems.js";
import { csvRequest, post } from "./requests.js";
import { chooser, furnish } from "./section.js";
import { language, number, say, whenSpoken } from "./words.js";

const EXAMPLE = "assets/web/example-weather.csv";
const ROWS = 60; // of a longer file, the last ones are shown; more for a model with a longer window
const MOST = 1000; // rows that are drawn: a longer text that is pasted is a file
const UNIT = 6; // steps of a window of a model that reads any number

/** Connect the section. */
export function forecastJob() {
  const text = element("textarea", { id: "forecast-text", rows: 8, spellcheck: false, wrap: "off" });
  const horizon = element("input", { type: "number", id: "forecast-horizon", min: 1, placeholder: "–" });
  const models = element("div", { className: "choices" });
  const note = element("p", { className: "hint", role: "status" });
  const undo = said("button", "forecastUndo", { type: "button", className: "button", disabled: true });
  undo.dataset.off = "";
  const useExample = said("button", "forecastExample", { type: "button", className: "button" });
  const [file, choose] = chooser("forecast-file", "forecastChoose", { accept: ".csv,.tsv,.txt,text/csv" });
  const typed = element("div", { className: "typed" }, said("label", "forecastLabel", { htmlFor: text.id }), text);
  const ahead = element("label", { className: "choice" }, said("span", "stepsAhead"), horizon);
  const zone = element("div", { className: "zone" }, element("div", { className: "choose" }, file, choose, useExample, said("p", "forecastDrop", { className: "hint" }), note, models, ahead));
  furnish("forecast", [element("div", { className: "fields" }, typed, zone)], [undo]);
  let chosen = ""; // the name of the model
  let example = "";
  let view = null;
  let answered = null; // the last answer, to which the points that are moved now belong
  let taken = null; // of a file: its name and rows
  let begun = ""; // the text that the page began with: another one is the visitor's

  const model = () => modelsOf("forecasting").find(({ name }) => name === chosen);

  function request({ before = null, ahead = horizon.value } = {}) {
    const { window, features = [], targets = [] } = model()?.series ?? {};
    const unit = window ?? UNIT;
    const names = [...new Set([...targets, ...features])];
    const common = { ...(chosen && { model: chosen }), ...(ahead && { horizon: Number(ahead) }) };
    const make = (options) => csvRequest("v1/forecast", text.value, { ...common, ...options });
    const whole = make({ states: true });
    const rows = readCsv(text.value, names).labels.length;
    const cut = (states) => make({ windows: true, stride: 1, ...(states && { states }) });
    const windows = rows < unit ? null : window ? [cut(true), cut(false)] : [cut(false)];
    const steps = [whole, ...(windows ? [windows[0]] : [])].flatMap((one) => one.steps);
    return { sources: [text.value], advice: "writeNumbersFirst", whole, windows, unit, isWindowed: Boolean(window), names, features, steps, text: text.value, before, ahead };
  }

  const draw = (answer) => {
    answered = answer;
    offerUndo();
    const series = readCsv(answer.text, answer.names);
    const digits = Object.fromEntries(answer.names.map((name) => [name, series.columns[name] ? decimalsOf(series.columns[name].fields, series.mark) : 2]));
    view = forecastView(series, answer, { digits, change: (name, at, value) => move(name, at, value, digits[name]) });
    return [view.root];
  };
  const summary = ({ results }) => results[0].targets.map((name, at) => `${name} ${results[0].values.map((row) => number(row[at])).join(", ")}`).join("; ");
  const fields = { text: fieldOf(text), model: { get: () => chosen, set: (name) => (chosen = name) }, horizon: fieldOf(horizon) };
  const job = new Job("forecast", { request, ask, draw, summary, fields });
  const latest = new Latest(askBoth, (sent, moved, problem) => {
    if (sent.of !== answered.of) return; // the form was sent meanwhile
    if (problem) return view.say([problemTitle(problem), problem.detail].filter(Boolean).join(": "));
    answered = moved;
    view.showAnswer(readCsv(text.value, moved.names), moved);
    job.keep(moved);
  });

  /** The answer to a request. Without the models its columns are not known: it is sent anew when they are. */
  async function ask(sent, signal) {
    const answer = await askBoth(sent, signal);
    return answer.names.length || !model() ? answer : askBoth(request(), signal);
  }

  /** Change a number of the text, and ask for its forecast. A text of another length has been typed: it is sent anew. */
  function move(name, at, value, digits) {
    const { of, original, names, ahead } = answered;
    const series = readCsv(text.value, names);
    if (!series.columns[name] || series.labels.length !== view.rows) return job.run();
    text.value = withNumber(text.value, series.columns[name].fields[at], series, value, digits);
    view.showSeries(readCsv(text.value, names));
    offerUndo();
    job.changed();
    const before = answered.before ?? answered.results[0].values;
    latest.push({ ...request({ before, ahead }), of, original });
  }

  function offerUndo() {
    const changed = job.answered && answered?.original !== text.value;
    job.allow(undo, changed);
  }

  /** Show a text: the last rows of a long one. */
  showDomain(job.form, ofTask("forecasting"), () => chosen);

  function put(content, name = null) {
    const { text: last, rows, shown } = lastRows(content, (model()?.series.window ?? UNIT) + ROWS - UNIT);
    text.value = last;
    taken = name && { name, rows, shown };
    sayTaken();
    job.changed();
  }

  function sayTaken() {
    note.textContent = taken ? say(taken.shown < taken.rows ? "fileLast" : "fileAll", taken) : "";
  }

  function offerModels() {
    const served = modelsOf("forecasting");
    if (modelsKnown()) chosen = model()?.name ?? served[0]?.name ?? "";
    const choose = (name) => {
      chosen = name;
      begin();
      job.clear();
      offerUndo();
    };
    models.replaceChildren(choice(say("model"), served.map(({ name }) => [name, name]), chosen, choose));
    begin();
  }

  /** The bounds of the model, and a text with its columns, unless the visitor has written another one. */
  function begin() {
    if (!model()) return;
    const { features, horizon: own, longest_horizon: most } = model().series;
    Object.assign(horizon, { placeholder: String(own), max: most ?? "" });
    useExample.hidden = !fits(example, features);
    if (text.value !== begun || (begun === example && fits(begun, features))) return job.changed();
    put(useExample.hidden ? `${features.join(",")}\n` : example);
    begun = text.value;
  }

  text.addEventListener("input", () => {
    if (text.value.split("\n", MOST + 2).length > MOST + 1) put(text.value, say("pasted"));
    else taken = null;
    sayTaken();
    offerUndo();
  });
  undo.addEventListener("click", () => {
    text.value = answered.original;
    job.run();
  });
  useExample.addEventListener("click", () => {
    put(example);
    job.run();
  });
  const take = async ([first]) => {
    put(await textOf(first, language()), first.name);
    job.run();
  };
  takeFiles(zone.parentElement, file, take, { accepts: (first) => !isImage(first), everywhere: ([first]) => isTable(first) });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) job.run();
  });
  whenModels(async () => {
    example ||= await fetch(EXAMPLE).then((response) => (response.ok ? response.text() : ""), () => "");
    offerModels();
    if (job.answered && !answered.names.length && model()) job.run();
  });
  whenSpoken(() => {
    offerModels();
    sayTaken();
  });
  return job;
}

function fits(text, features) {
  const { columns } = readCsv(text, features);
  return features.every((name) => columns[name]);
}

let runs = 0;

/** The forecast of the whole series, and those of its windows: with states, unless they are too many. */
async function askBoth({ whole, windows, text, of = (runs += 1), original = text, ...about }, signal) {
  const [continued, cut] = await Promise.all([post(whole, signal), windows && posted(windows, signal)]);
  const { windows: past = [], mean_absolute_error: error, persistence_mean_absolute_error: persistence } = cut?.results[0] ?? {};
  return { ...about, results: continued.results, windows: past, error, persistence, text, of, original };
}

async function posted([first, other], signal) {
  try {
    return await post(first, signal);
  } catch (problem) {
    if (problem.slug !== "input-too-long" || !other) throw problem;
    return post(other, signal);
  }
}
