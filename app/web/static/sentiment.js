// The sentiment of a text, or its label by another classifier of texts, word by word.

import { choice, disclosure, element, table } from "./dom.js";
import { showDomain } from "./domain.js";
import { Job } from "./job.js";
import { drawMemory } from "./memory.js";
import { modelsOf, modelsWhere, whenModels } from "./models.js";
import { Cursor } from "./plots/cursor.js";
import { linePlot } from "./plots/line.js";
import { piecesOf, strip, wordsOf } from "./plots/strip.js";
import { textRequest } from "./requests.js";
import { answeredBy, drawFacts, labelWords } from "./results.js";
import { linesOf, wireText } from "./textjob.js";
import { drawVerdict } from "./verdict.js";
import { percent, say, whenSpoken } from "./words.js";

const UNITS = 64; // that are shown: more rows would be thinner than a pixel
const START = "It begins like a masterpiece, and then nothing happens.\n배우들 연기는 좋은데 이야기가 너무 지루하다.";
const EXAMPLES = [
  ["en", "The plot makes no sense and the acting is worse."],
  ["en", "It starts slowly, but the last hour is wonderful."],
  ["ko", "정말 재미있게 봤어요. 강력 추천합니다!"],
  ["ko", "돈이 아깝다. 최악의 영화"],
];

/** Connect the section. */
export function sentimentJob() {
  const textarea = document.getElementById("sentiment-text");
  const lines = document.getElementById("sentiment-lines");
  const memory = document.getElementById("sentiment-memory");
  let model = "";
  textarea.value = START;
  const fits = ({ task, source, labels }) => task === "sentiment" || (task === "classification" && source === "text" && labels.length > 0);
  const served = () => modelsWhere(fits);
  const route = () => (served().find(({ name }) => name === model)?.task === "classification" ? "v1/classify" : "v1/sentiment");
  const request = () => {
    const inputs = lines.checked ? linesOf(textarea) : textarea.value.trim();
    return textRequest(route(), inputs, { ...(model && { model }), explain: true, ...(memory.checked && { layer: 0, units: UNITS }) });
  };
  const draw = ({ results, sources }) => results.map((result, at) => drawResult(result, sources[at]));
  const job = new Job("sentiment", { request, draw, summary: ({ results }) => results.map(verdict).join(". ") });
  const again = () => {
    job.showCurl();
    if (job.answered) job.run();
  };
  memory.addEventListener("change", again);
  const offerModels = () => {
    const names = served().map(({ name }) => name);
    const byScript = modelsOf("sentiment").length ? [["", say("byScript")]] : [];
    if (!names.includes(model)) model = byScript.length ? "" : (names[0] ?? "");
    const chosen = (value) => {
      model = value;
      again();
    };
    document.getElementById("sentiment-model").replaceChildren(choice(say("model"), [...byScript, ...names.map((name) => [name, name])], model, chosen));
  };
  showDomain(job.form, fits, () => model);
  whenModels(() => {
    job.setServed(served().length > 0);
    offerModels();
    job.showCurl();
  });
  whenSpoken(offerModels);
  wireText(job, textarea, EXAMPLES);
  return job;
}

function verdict({ label, score, model }) {
  return `${labelWords(label)}, ${say("probability", { percent: percent(score) })}, ${model}`;
}

function drawResult(result, text) {
  return element(
    "div",
    { className: "result" },
    ...drawVerdict(result),
    drawFacts({ textContent: say("probability", { percent: percent(result.score, 1) }) }, answeredBy(result)),
    ...drawWords(result, text),
  );
}

/** The text coloured by its sentiment after each token, a line, its numbers and, if requested, the memory. */
function drawWords(result, text) {
  const { tokens, probabilities, labels, activations, method } = result.explanation;
  const shown = labels.includes("positive") ? "positive" : result.label;
  const column = labels.indexOf(shown);
  const line = probabilities.map((row) => row[column]);
  const pieces = piecesOf(text, tokens);
  const words = wordsOf(pieces, tokens);
  const cursor = new Cursor(tokens.length);
  const after = (at) => say("after", { token: words[at], label: labelWords(shown), percent: percent(line[at], 1) });
  const readout = element("p", { className: "readout", textContent: say("pointAtWord") });
  cursor.watch((at) => (readout.textContent = at === null ? say("pointAtWord") : `${after(at)} (${at + 1}/${tokens.length})`));
  const about = say("lineAbout", { label: labelWords(shown) });
  const plot = linePlot({ about, labels: words, series: [{ values: line }], cursor });
  return [
    strip({ about: say("words"), pieces: pieces.map((piece, at) => ({ text: piece, name: after(at), tone: line[at] * 2 - 1 })), cursor }),
    readout,
    plot,
    ...(method === "one pass" ? [] : [element("p", { className: "hint", textContent: say("readAnew") })]),
    disclosure(say("asTable"), () => {
      const rows = words.map((word, at) => [word, ...probabilities[at].map((value) => percent(value, 1))]);
      return table(about, [say("token"), ...labels.map(labelWords)], rows);
    }),
    ...(activations ? [drawMemory(activations, words, cursor)] : []),
  ];
}
