// The same text read by several networks: the predictions of RNN, GRU and LSTM after each word, in one plot.

import { disclosure, element, table } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { Job } from "./job.js";
import { modelsOf, whenModels } from "./models.js";
import { Cursor } from "./plots/cursor.js";
import { linePlot, lineSample } from "./plots/line.js";
import { piecesOf, strip, wordsOf } from "./plots/strip.js";
import { post, textRequest } from "./requests.js";
import { labelWords } from "./results.js";
import { wireText } from "./textjob.js";
import { percent, say, whenSpoken } from "./words.js";

const START =
  "I hated every minute of it. We saw it one evening in a small cinema near the station, and afterwards we " +
  "walked home through the rain and talked about the music, the weather and what a nice dinner we had.";
const EXAMPLES = [
  ["en", "It begins like a masterpiece, and then nothing happens."],
  ["en", "At first I was bored and wanted to leave, but then it became one of the best films I have ever seen."],
  ["en", "An awful film. My brother says that it is wonderful, the best of the year, but he is wrong."],
];

/** Connect the section. */
export function compareJob() {
  const textarea = document.getElementById("compare-text");
  const choices = document.getElementById("compare-models");
  const chosen = () => [...choices.querySelectorAll("input:checked")].map((input) => input.value);
  textarea.value = START;
  const one = (model) => textRequest("v1/sentiment", textarea.value.trim(), { model, explain: true });
  const request = () => ({ sources: [textarea.value.trim()], requests: chosen().map(one), curl: chosen().map((model) => one(model).curl).join("\n") });
  const ask = async ({ requests }, signal) => {
    const answers = await Promise.all(requests.map((each) => post(each, signal)));
    return { results: answers.flatMap(({ results }) => results) };
  };
  const summary = ({ results }) => results.map(({ model, label, score }) => `${model}: ${labelWords(label)}, ${percent(score)}`).join(". ");
  const job = new Job("compare", { request, ask, draw, summary });
  const offerModels = () => {
    const left = new Set([...choices.querySelectorAll("input:not(:checked)")].map((input) => input.value));
    choices.replaceChildren(...comparable().map(({ name }) => checkbox(name, !left.has(name))));
    for (const button of job.form.querySelectorAll("button")) job.allow(button, choices.hasChildNodes());
    job.showCurl();
  };
  whenModels(() => {
    job.setServed(comparable().length > 0);
    offerModels();
  });
  whenSpoken(offerModels);
  showDomain(job.form, ofTask("sentiment"), chosen);
  wireText(job, textarea, EXAMPLES);
  return job;
}

/** The models of the language with the most models. */
function comparable() {
  const byLanguage = Map.groupBy(modelsOf("sentiment"), ({ languages }) => languages[0]);
  const [most = []] = [...byLanguage.values()].sort((one, other) => other.length - one.length);
  return most.length > 1 ? most : [];
}

function checkbox(name, checked) {
  return element("label", { className: "check" }, element("input", { type: "checkbox", value: name, checked }), element("span", { textContent: name }));
}

function draw({ results, sources }) {
  if (!results.length) return [element("p", { className: "nothing", textContent: say("chooseModels") })];
  const [text] = sources;
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
    element(
      "div",
      { className: "result" },
      root,
      linePlot({ about, labels: words, series: lines.map((values) => ({ values })), cursor, height: 230 }),
      strip({ about: say("words"), pieces: pieces.map((piece, at) => ({ text: piece, name: `${words[at]}: ${describe(at)}` })), cursor }),
      disclosure(say("asTable"), () => {
        const rows = words.map((word, at) => [word, ...lines.map((line) => percent(line[at], 1))]);
        return table(about, [say("token"), ...results.map(({ model }) => model)], rows);
      }),
    ),
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
