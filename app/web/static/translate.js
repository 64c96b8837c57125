// A translation during decoding, and the attention of each target token to the source tokens.

import { disclosure, element, table } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { Job } from "./job.js";
import { modelChoice } from "./modelchoice.js";
import { languagesOf } from "./models.js";
import { heatmap } from "./plots/heatmap.js";
import { wordOf } from "./plots/strip.js";
import { registerChoice } from "./registerchoice.js";
import { events, textRequest, withAttention } from "./requests.js";
import { drawScore, drawSentence } from "./results.js";
import { linesOf, wireText } from "./textjob.js";
import { percent, say } from "./words.js";

const START = "Do you want to save the changes before closing?";
const EXAMPLES = [
  ["en", "I love you."],
  ["en", "Where is the bathroom?"],
  ["en", "The train leaves at seven."],
  ["en", "Open file"],
];

/** Connect the section. */
export function translateJob() {
  const textarea = document.getElementById("translate-text");
  textarea.value = START;
  const model = modelChoice(document.getElementById("translate-model"), "translation", "byDefault", () => job.showCurl());
  const register = registerChoice(document.getElementById("translate-register"), ofTask("translation"), () => model().model, () => job.showCurl());
  const request = (attention = true) => textRequest("v1/translate", linesOf(textarea), { ...model(), ...register(), stream: true, ...(attention && { attention }) });
  const job = new Job("translate", {
    request,
    ask: (_, signal, progress) => withAttention(request, (asked) => streamed(asked, signal, progress)),
    draw: ({ results, sources }, done) => results.map((result, at) => drawResult(result, sources[at], done)),
    summary: ({ results }) => results.map(({ text }) => text).join(". "),
  });
  showDomain(job.form, ofTask("translation"), () => model().model);
  wireText(job, textarea, EXAMPLES);
  return job;
}

/** The results; `progress` gets each partial result. */
async function streamed(request, signal, progress) {
  const results = request.sources.map(() => ({ text: "" }));
  for await (const { event, data } of events(request, signal)) {
    if (event === "token") results[data.input].text += data.text;
    if (event === "result") results[data.input] = data.result;
    if (event !== "done") progress({ results, sources: request.sources });
  }
  return { results };
}

function drawResult(result, source, done) {
  const lang = languagesOf(result.model).at(-1) ?? "ko";
  const complete = result.model !== undefined;
  return element(
    "div",
    { className: "result" },
    element("p", { className: "source", lang: "en", textContent: source }),
    complete ? drawSentence(result.text, lang) : element("p", { className: "sentence growing", lang, textContent: result.text }),
    ...(complete ? [drawScore(result)] : []),
    ...(done && result.attention ? drawAlignment(result.attention) : []),
  );
}

function drawAlignment({ source, target, weights }) {
  const name = (text) => (text === "<eos>" ? say("theEnd") : wordOf(text));
  const columns = source.map(({ text }) => name(text));
  const rows = target.map(name);
  const about = say("alignmentAbout", { rows: rows.length, columns: columns.length });
  const describe = (row, column) => say("aligned", { target: rows[row], source: columns[column], percent: percent(weights[row][column], 1) });
  return [
    element("h4", { textContent: say("alignment") }),
    heatmap({ about: `${about} ${say("arrows")}`, role: say("matrix"), columns, rows, values: weights, kind: "amount", reach: 1, describe, height: 0 }),
    disclosure(say("asTable"), () => {
      const lines = rows.map((row, at) => [row, ...weights[at].map((weight) => percent(weight))]);
      return table(about, [say("target"), ...columns], lines);
    }),
  ];
}
