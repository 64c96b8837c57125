// A translation during decoding, and the attention of each target token to the source tokens.

import { disclosure, element, folded, table } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { fieldOf } from "./fields.js";
import { Job } from "./job.js";
import { memorySwitch } from "./memoryswitch.js";
import { modelChoice } from "./modelchoice.js";
import { languagesOf, modelsOf, whenModels } from "./models.js";
import { FEW, inParts, stepsOf } from "./parts.js";
import { heatmap } from "./plots/heatmap.js";
import { wordOf } from "./plots/strip.js";
import { registerChoice } from "./registerchoice.js";
import { events, textRequest, withDetails } from "./requests.js";
import { drawRefusedMemory, drawScore, drawSentence, once } from "./results.js";
import { drawRuns } from "./runs.js";
import { cutting, linesOf, textOf, unread, wireText } from "./textjob.js";
import { languageNames, percent, say, whenSpoken } from "./words.js";

const STARTS = [["en", "Do you want to save the changes before closing?"]];
const EXAMPLES = [
  ["en", "I miss you."],
  ["en", "Where is the bathroom?"],
  ["en", "The train leaves at seven."],
  ["en", "Open file"],
];

/** Connect the section. */
export function translateJob() {
  const textarea = document.getElementById("translate-text");
  textarea.value = textOf(STARTS);
  const served = () => modelsOf("translation");
  const changed = () => {
    sayPair();
    job.changed();
  };
  const model = modelChoice(document.getElementById("translate-model"), served, { usual: "byDefault", changed });
  const register = registerChoice(document.getElementById("translate-register"), model.chosen, () => job.changed());
  const memory = memorySwitch(document.getElementById("translate-memory"), () => {
    job.changed();
    if (job.answered) job.run();
  });
  const details = () => ["attention", ...(memory.isOn() ? ["explain"] : [])];
  const cut = cutting(textarea);
  const make = (inputs, wanted = details()) => {
    const explain = wanted.includes("explain") && memory.options([inputs].flat().length);
    return textRequest("v1/translate", inputs, { ...model.options(), ...register.options(), ...cut.options(), stream: true, ...(wanted.includes("attention") && { attention: true }), ...explain });
  };
  const draw = once((result, source, isOneOfMany) => drawResult(result, source, isOneOfMany, memory));
  const drawGrowing = once(growing);
  const job = new Job("translate", {
    request: () => ({ sources: [linesOf(textarea)].flat(), refused: unread(textarea.value, [model.chosen()].filter(Boolean)), steps: stepsOf(make, linesOf(textarea)) }),
    ask: ({ sources }, signal, progress) =>
      inParts(sources, (part, show) => memory.asked(() => withDetails(details(), (wanted) => make(part, wanted), (asked) => streamed(asked, signal, show))), progress),
    draw: ({ results, sources }) =>
      results.map((result, at) => (result.model === undefined ? drawGrowing(result, sources[at], model.chosen()?.languages).show() : draw(result, sources[at], sources.length > FEW))),
    summary: ({ results }) => results.map(({ text }) => text).join(". "),
    cut,
    fields: { text: fieldOf(textarea), model: model.field, register: register.field, ...memory.fields },
  });

  /** Say from which language the chosen model translates, and to which. */
  function sayPair() {
    const [source, target] = model.chosen()?.languages ?? [];
    const pair = { source: source ? languageNames([source]) : "", target: target ? languageNames([target]) : "" };
    const isUsual = !model.chosen() || (source === "en" && target === "ko");
    textarea.lang = source ?? "";
    textarea.labels[0].textContent = source ? say("translateFrom", pair) : say("translateLines");
    document.querySelector("#translate header p").textContent = isUsual ? say("translateAbout") : target ? say("translatePair", pair) : say("translateAny");
  }

  whenModels(sayPair);
  whenSpoken(sayPair);
  showDomain(job.form, ofTask("translation"), () => model.field.get());
  wireText(job, textarea, { starts: STARTS, examples: EXAMPLES, served });
  return job;
}

/** The results; `show` gets the partial ones. */
async function streamed(request, signal, show) {
  const results = request.sources.map(() => ({ text: "" }));
  for await (const { event, data } of events(request, signal)) {
    if (event === "token") results[data.input].text += data.text;
    if (event === "result") results[data.input] = data.result;
    if (event !== "done") show(results);
  }
  return results;
}

/** A translation that grows: `show()` returns its element with the text so far. */
function growing(result, source, languages = []) {
  const text = element("p", { className: "sentence growing", lang: languages.at(-1) ?? "" });
  const root = element("div", { className: "result" }, drawSource(source, languages[0]), text);
  return {
    show() {
      if (text.textContent !== result.text) text.textContent = result.text;
      return root;
    },
  };
}

/** `isOneOfMany`: the plots are folded. */
function drawResult(result, source, isOneOfMany, memory) {
  const lang = languagesOf(result.model).at(-1) ?? "ko";
  const alignment = () => drawAlignment(result.attention);
  const { runs } = result.explanation ?? {};
  const networks = () => drawRuns(runs, { named: "writes", memory, lang });
  return element(
    "div",
    { className: "result" },
    drawSource(source, languagesOf(result.model)[0]),
    drawSentence(result.text, lang),
    drawScore(result),
    ...(!result.attention ? [] : isOneOfMany ? [folded(say("alignment"), alignment)] : alignment()),
    ...(!runs ? (memory.isOn() ? [drawRefusedMemory()] : []) : isOneOfMany ? [folded(say("memoryOf"), networks)] : networks()),
  );
}

function drawSource(textContent, lang = "") {
  return element("p", { className: "source", lang, textContent });
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
