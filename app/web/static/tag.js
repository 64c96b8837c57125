// A label for each word of a text, and the spans that the labels join.

import { choice, disclosure, element, said, table } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { Job } from "./job.js";
import { modelsOf, whenModels } from "./models.js";
import { Cursor } from "./plots/cursor.js";
import { strip } from "./plots/strip.js";
import { post, textRequest } from "./requests.js";
import { answeredBy, drawFacts, drawShares, labelWords } from "./results.js";
import { furnish } from "./section.js";
import { linesOf, wireText } from "./textjob.js";
import { percent, say, whenSpoken } from "./words.js";

const START = "I saw a man with a saw, and he left his watch on the left side of the desk.";
const EXAMPLES = [
  ["en", "She will book a flight, and then read a book on the plane."],
  ["en", "They train their dogs on the train."],
  ["en", "I can open the can."],
  ["en", "Mark will mark the paper in May."],
];
const MOST = 5; // labels of a word that are shown
const TURN = 137.5; // degrees between the colours of two labels

/** Connect the section. */
export function tagJob() {
  const textarea = element("textarea", { id: "tag-text", rows: 4, spellcheck: false, value: START });
  const models = element("div", { id: "tag-model" });
  const examples = element("div", { className: "examples", role: "group" });
  examples.dataset.sayLabel = "examples";
  furnish("tag", [said("label", "tagLabel", { htmlFor: textarea.id }), textarea, examples, models]);
  let model = "";
  const request = () => textRequest("v1/tag", linesOf(textarea), { ...(model && { model }), scores: true });
  const draw = ({ results, sources }) => results.map((result, at) => drawResult(result, sources[at]));
  const summary = ({ results }) => results.map(({ tags }) => tags.map(({ text, label }) => `${text} ${labelWords(label)}`).join(", ")).join(". ");
  const job = new Job("tag", { request, ask: post, draw, summary });
  const offerModels = () => {
    const served = modelsOf("tagging").map(({ name }) => [name, name]);
    const chosen = (value) => {
      model = value;
      job.showCurl();
      if (job.answered) job.run();
    };
    models.replaceChildren(choice(say("model"), [["", say("byScript")], ...served], model, chosen));
  };
  whenModels(offerModels);
  whenSpoken(offerModels);
  showDomain(job.form, ofTask("tagging"), () => model);
  wireText(job, textarea, EXAMPLES);
  return job;
}

function drawResult({ tags, spans, ...result }, source) {
  const hues = huesOf(result.model);
  const characters = [...source]; // tags count Unicode code points
  const cursor = new Cursor(tags.length);
  const describe = ({ text, label, score }) => say("tagged", { word: text, label: labelWords(label), percent: percent(score, 1) });
  const pieces = tags.map((tag, at) => ({
    text: characters.slice(at ? tags[at - 1].end : tag.start, tag.end).join(""),
    name: describe(tag),
    hue: hues.get(baseOf(tag.label)),
    parts: [tag.text, element("span", { className: "note", textContent: labelWords(tag.label) })],
  }));
  const readout = element("p", { className: "readout" });
  const shares = element("ol", { className: "shares" });
  cursor.watch((at) => show(at));
  function show(at) {
    readout.textContent = at === null ? say("pointAtTag") : describe(tags[at]);
    shares.replaceChildren(...(at === null ? [] : drawShares(mostOf(tags[at].scores))));
  }
  show(null);
  return element(
    "div",
    { className: "result tags" },
    strip({ about: say("taggedWords"), pieces, cursor }),
    readout,
    shares,
    ...(spans ? [drawSpans(spans, hues, cursor)] : []),
    drawFacts({ textContent: say("wordCount", { count: tags.length }) }, answeredBy(result)),
    disclosure(say("asTable"), () => table(say("taggedWords"), [say("word"), say("tag"), say("share")], tags.map(({ text, label, score }) => [text, labelWords(label), percent(score, 1)]))),
  );
}

/** The most probable labels of a word. */
function mostOf(scores) {
  const sorted = Object.entries(scores).sort(([, one], [, other]) => other - one);
  return sorted.slice(0, MOST).map(([label, share]) => [labelWords(label), share]);
}

/** The spans as buttons that point at their first word. */
function drawSpans(spans, hues, cursor) {
  if (!spans.length) return element("p", { className: "hint", textContent: say("noSpans") });
  const buttons = spans.map(({ label, text, first, score }) => {
    const button = element("button", { type: "button", className: "token hued" }, text, element("span", { className: "note", textContent: `${labelWords(label)} ${percent(score)}` }));
    button.style.setProperty("--hue", hues.get(label));
    button.addEventListener("click", () => cursor.move(first));
    return button;
  });
  return element("div", { className: "spans", role: "group", ariaLabel: say("spans") }, element("h4", { textContent: say("spans") }), ...buttons);
}

/** An angle of colour for each label of a model, the same for all marks of a span; none for "O", outside of spans. */
function huesOf(name) {
  const labels = modelsOf("tagging").find((model) => model.name === name)?.labels ?? [];
  const bases = [...new Set(labels.map(baseOf))].filter((label) => label !== "O");
  return new Map(bases.map((label, at) => [label, Math.round(at * TURN) % 360]));
}

function baseOf(label) {
  return label.replace(/^[BIESLU]-/, "");
}
