// The same text read by several networks: the predictions of RNN, GRU and LSTM after each word, in one plot.

import { disclosure, element, table } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { fieldOf } from "./fields.js";
import { Job } from "./job.js";
import { drawMemory } from "./memory.js";
import { memoryView } from "./memoryswitch.js";
import { modelsKnown, modelsOf, whenModels } from "./models.js";
import { explainable, explained } from "./parts.js";
import { Cursor } from "./plots/cursor.js";
import { linePlot, lineSample } from "./plots/line.js";
import { piecesOf, strip, wordsOf } from "./plots/strip.js";
import { post, textRequest } from "./requests.js";
import { answeredBy, drawFacts, drawUnplotted, labelWords } from "./results.js";
import { textOf, unread, wireText } from "./textjob.js";
import { drawVerdict } from "./verdict.js";
import { percent, say, whenSpoken } from "./words.js";

const STARTS = [
  [
    "en",
    "What a terrible film. We saw it one evening in a small cinema near the station, and afterwards we walked home through the rain.",
  ],
];
const EXAMPLES = [
  ["en", "It begins like a masterpiece, and then nothing happens."],
  ["en", "At first I was bored and wanted to leave, but then it became one of the best films I have ever seen."],
  ["en", "An awful film. My brother says that it is wonderful, the best of the year, but he is wrong."],
];
const CELL = /\b(RNN|GRU|LSTM)( \(\w+\))?/; // in the words for an architecture
const UNITS = 64; // of the memory of a network

/** Connect the section. */
export function compareJob() {
  const textarea = document.getElementById("compare-text");
  const choices = document.getElementById("compare-models");
  const about = document.querySelector("#compare [data-say=compareAbout]");
  const memory = document.getElementById("compare-memory");
  const layers = new Map(); // the layer of a network that was chosen
  const { view, fields: viewed } = memoryView();
  const left = new Set(); // names of models that are not chosen
  const chosen = () => comparable().map(({ name }) => name).filter((name) => !left.has(name));
  textarea.value = textOf(STARTS);
  const make = (model) => (texts, explain = explainable(texts)) => textRequest("v1/sentiment", texts[0], { model, ...(explain && { explain, ...(memory.checked && { layer: layers.get(model) ?? 0, units: UNITS }) }) });
  const request = () => {
    const text = textarea.value.trim();
    return { sources: [text], names: chosen(), refused: unread(text, comparable()), steps: chosen().flatMap((name) => make(name)([text]).steps) };
  };
  const ask = async ({ sources, names }, signal) => {
    const answers = await Promise.all(names.map((name) => read(name, sources, signal)));
    job.showCode(); // of the requests that were answered: the text may have been too long to explain
    return { results: answers.flat() };
  };
  /** The answer of a network; of its usual layer if it lacks the chosen one. */
  async function read(name, sources, signal) {
    try {
      return await explained(make(name), sources, (asked) => post(asked, signal));
    } catch (problem) {
      if (!problem.options?.includes("layer") || !layers.delete(name)) throw problem;
      return read(name, sources, signal);
    }
  }
  const summary = ({ results }) => results.map(({ model, label, score }) => `${model}: ${labelWords(label)}, ${percent(score)}`).join(". ");
  const layered = { get: () => new URLSearchParams([...layers]).toString(), set: chooseLayers };
  const fields = { text: fieldOf(textarea), memory: fieldOf(memory), layers: layered, ...viewed, without: { get: () => [...left].join(" "), set: leave } };
  function chooseLayers(query) {
    layers.clear();
    for (const [name, layer] of new URLSearchParams(query)) layers.set(name, Number(layer) || 0);
  }
  function leave(names) {
    left.clear();
    for (const name of names.split(" ").filter(Boolean)) left.add(name);
    if (modelsKnown()) offerModels();
  }

  const memoryOf = (model) => ({
    view,
    choose(layer) {
      layers.set(model, layer);
      job.changed();
      job.run();
    },
  });
  const job = new Job("compare", { request, ask, draw: (answer) => draw(answer, memoryOf), summary, fields });
  const offerModels = () => {
    choices.replaceChildren(...comparable().map(({ name }) => checkbox(name, left)));
    for (const button of job.form.querySelectorAll(".run button[type=submit], .examples button")) job.allow(button, choices.hasChildNodes());
    job.showCode();
  };
  whenModels(() => {
    job.setServed(comparable().length > 0);
    about.dataset.say = alike().length ? "compareAbout" : "compareMixed";
    about.textContent = say(about.dataset.say);
    offerModels();
  });
  memory.addEventListener("change", () => job.answered && job.run());
  whenSpoken(offerModels);
  showDomain(job.form, ofTask("sentiment"), chosen);
  wireText(job, textarea, { starts: STARTS, examples: EXAMPLES, served: comparable });
  return job;
}

/** The models that differ in the cell alone. */
function alike() {
  const most = largest(({ languages, architecture }) => `${languages[0]} ${architecture.replace(CELL, "")}`);
  return new Set(most.map(({ architecture }) => architecture)).size > 1 ? most : [];
}

/** These, or without them the models of the language with the most models. */
function comparable() {
  const most = alike().length ? alike() : largest(({ languages }) => languages[0]);
  return most.length > 1 ? most : [];
}

/** The models of sentiment of the largest group with an equal `key`. */
function largest(key) {
  const [most = []] = [...Map.groupBy(modelsOf("sentiment"), key).values()].sort((one, other) => other.length - one.length);
  return most;
}

/** A box that puts `name` into `left`, or removes it. */
function checkbox(name, left) {
  const box = element("input", { type: "checkbox", value: name, checked: !left.has(name) });
  box.addEventListener("change", () => (box.checked ? left.delete(name) : left.add(name)));
  return element("label", { className: "check" }, box, element("span", { textContent: name }));
}

function draw({ results, sources }, memoryOf) {
  if (!results.length) return [element("p", { className: "nothing", textContent: say("chooseModels") })];
  const [text] = sources;
  const plotted = results.filter(({ explanation }) => explanation);
  const others = results.filter(({ explanation }) => !explanation);
  return [element("div", { className: "result" }, ...(plotted.length ? drawLines(plotted, text, memoryOf) : []), ...others.flatMap(drawOne))];
}

/**
 * The memories side by side; `cursor` is that of `tokens`, and a network with other tokens follows it. `memoryOf(model)`
 * is the memory of `drawMemory`.
 */
function drawMemories(results, text, tokens, cursor, memoryOf) {
  const beside = results.flatMap(({ explanation: { activations } }) => activations ?? []);
  const drawn = results.flatMap(({ model, explanation: { tokens: own, activations } }) => {
    if (!activations) return [];
    const shared = own.length === tokens.length ? cursor : following(cursor, tokens, own);
    const words = wordsOf(piecesOf(text, own), own);
    return [element("section", { ariaLabel: model }, element("span", { className: "model", textContent: model }), drawMemory(activations, words, shared, { memory: memoryOf(model), beside }))];
  });
  return drawn.length ? [element("div", { className: "memories" }, ...drawn)] : [];
}

/** A cursor over the tokens `own` that stands where `cursor`, over `tokens`, stands in the text. */
function following(cursor, tokens, own) {
  const follower = new Cursor(own.length);
  cursor.watch((at) => follower.move(at === null ? null : own.findLastIndex(({ end }) => end <= tokens[at].end)));
  return follower;
}

/** The answer of a network for which the text is too long to plot. */
function drawOne(result) {
  return [...drawVerdict(result), drawFacts({ textContent: say("probability", { percent: percent(result.score, 1) }) }, answeredBy(result)), drawUnplotted(result)];
}

function drawLines(results, text, memoryOf) {
  const { tokens } = results[0].explanation;
  const pieces = piecesOf(text, tokens);
  const words = wordsOf(pieces, tokens);
  const read = results.map((result) => rowsOf(result.explanation, tokens));
  const lines = results.map(({ label, explanation: { labels } }, which) => {
    const column = labels.indexOf(labels.includes("positive") ? "positive" : label);
    return read[which].map((row) => row[column]);
  });
  const cursor = new Cursor(tokens.length);
  const describe = (at) => results.map(({ model }, which) => `${model} ${percent(lines[which][at])}`).join(", ");
  const { root, show } = drawLegend(results, read, lines);
  cursor.watch((at) => show(at, words[at]));
  const about = say("compareLines", { models: results.map(({ model }) => model).join(", ") });
  return [
    root,
    linePlot({ about, labels: words, series: lines.map((values) => ({ values })), cursor, height: 230 }),
    strip({ about: say("words"), pieces: pieces.map((piece, at) => ({ text: piece, name: `${words[at]}: ${describe(at)}` })), cursor }),
    disclosure(say("asTable"), () => {
      const rows = words.map((word, at) => [word, ...lines.map((line) => percent(line[at], 1))]);
      return table(about, [say("token"), ...results.map(({ model }) => model)], rows);
    }),
    ...drawMemories(results, text, tokens, cursor, memoryOf),
  ];
}

/** The probabilities after each of `tokens`, also for a network with another tokenizer. */
function rowsOf({ tokens: own, probabilities }, tokens) {
  let at = -1;
  return tokens.map(({ end }) => {
    while (at + 1 < own.length && own[at + 1].end <= end) at += 1;
    return probabilities[Math.max(at, 0)];
  });
}

/** The legend: each line with its label and probability, at the end or at the current token. */
function drawLegend(results, read, lines) {
  const caption = element("p", { className: "readout" });
  const numbers = results.map(() => element("strong"));
  const verdicts = results.map(() => element("span"));
  const items = results.map(({ model }, which) =>
    element(
      "li",
      {},
      lineSample(which),
      element("span", { className: "model", textContent: model }),
      element("span", { className: "thought" }, numbers[which], verdicts[which]),
    ),
  );
  const show = (at, word) => {
    caption.textContent = at === null ? say("atTheEnd") : say("afterToken", { token: word });
    results.forEach(({ explanation: { labels } }, which) => {
      const row = read[which].at(at ?? -1);
      const share = lines[which].at(at ?? -1);
      numbers[which].textContent = percent(share, 1);
      verdicts[which].textContent = labelWords(labels[row.indexOf(Math.max(...row))]);
      verdicts[which].className = `label ${share < 0.5 ? "negative" : "positive"}`;
    });
  };
  show(null);
  return { root: element("div", {}, caption, element("ul", { className: "legend" }, ...items)), show };
}
