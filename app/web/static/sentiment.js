// The sentiment of a text, or its label by another classifier of texts, word by word.

import { disclosure, element, folded, table } from "./dom.js";
import { showDomain } from "./domain.js";
import { fieldOf } from "./fields.js";
import { Job } from "./job.js";
import { drawMemory } from "./memory.js";
import { memorySwitch } from "./memoryswitch.js";
import { modelChoice } from "./modelchoice.js";
import { modelsOf, modelsWhere, whenModels } from "./models.js";
import { Cursor } from "./plots/cursor.js";
import { linePlot } from "./plots/line.js";
import { piecesOf, strip, wordsOf } from "./plots/strip.js";
import { explainable, explained, FEW, inParts, stepsOf } from "./parts.js";
import { post, textRequest } from "./requests.js";
import { answeredBy, drawFacts, drawUnplotted, labelWords, once } from "./results.js";
import { nameSection } from "./section.js";
import { cutting, linesOf, sayLanguages, textOf, wireText } from "./textjob.js";
import { drawVerdict } from "./verdict.js";
import { percent, say } from "./words.js";

const STARTS = [
  ["en", "It begins like a masterpiece, and then nothing happens."],
  ["ko", "배우들 연기는 좋은데 이야기가 너무 지루하다."],
];
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
  textarea.value = textOf(STARTS);
  const fits = ({ task, source, labels }) => task === "sentiment" || (task === "classification" && source === "text" && labels.length > 0);
  const served = () => modelsWhere(fits);
  const again = () => {
    job.changed();
    if (job.answered) job.run();
  };
  const memory = memorySwitch(document.getElementById("sentiment-memory"), again);
  const answers = (one) => one.default && one.task === "sentiment";
  const model = modelChoice(document.getElementById("sentiment-model"), served, { usual: "byScript", answers, changed: again });
  const cut = cutting(textarea);
  const inputs = () => (lines.checked ? linesOf(textarea) : textarea.value.trim());
  const make = (texts, explain = explainable(texts)) => {
    const route = model.chosen()?.task === "classification" ? "v1/classify" : "v1/sentiment";
    return textRequest(route, texts, { ...model.options(), ...cut.options(), ...(explain && { explain, ...memory.options(1, 0) }) });
  };
  const draw = once((result, text, isOneOfMany) => drawResult(result, text, isOneOfMany, memory));
  const job = new Job("sentiment", {
    request: () => ({ sources: [inputs()].flat(), steps: stepsOf(make, inputs()) }),
    ask: async ({ sources }, signal, progress) => {
      const answer = await inParts(sources, (part) => memory.asked(() => explained(make, part, (request) => post(request, signal))), progress);
      job.showCode(); // of the request that was answered: a text may have been too long to explain
      return answer;
    },
    draw: ({ results, sources }) => results.map((result, at) => draw(result, sources[at], sources.length > FEW)),
    summary: ({ results }) => results.map(verdict).join(". "),
    cut,
    fields: { text: fieldOf(textarea), lines: fieldOf(lines), ...memory.fields, model: model.field },
  });
  showDomain(job.form, fits, () => model.field.get());
  whenModels(() => {
    job.setServed(served().length > 0);
    const isSentiment = modelsOf("sentiment").length > 0;
    nameSection("sentiment", isSentiment ? "sentiment" : "labels");
  });
  wireText(job, textarea, { starts: STARTS, most: STARTS.length, examples: EXAMPLES, served });
  sayLanguages(textarea, served);
  return job;
}

function verdict({ label, score, model }) {
  return `${labelWords(label)}, ${say("probability", { percent: percent(score) })}, ${model}`;
}

/** `isOneOfMany`: the text is shown, and its plot folded. */
function drawResult(result, text, isOneOfMany, memory) {
  const words = () => drawWords(result, text, memory);
  return element(
    "div",
    { className: "result" },
    ...(isOneOfMany ? [element("p", { className: "source", textContent: text })] : []),
    ...drawVerdict(result),
    drawFacts({ textContent: say("probability", { percent: percent(result.score, 1) }) }, answeredBy(result)),
    ...(!result.explanation ? [drawUnplotted(result)] : isOneOfMany ? [folded(say("wordByWord"), words)] : words()),
  );
}

/** The text coloured by its sentiment after each token, a line, its numbers and, if requested, the memory. */
function drawWords(result, text, memory) {
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
    ...(activations ? [drawMemory(activations, words, cursor, { memory })] : []),
  ];
}
