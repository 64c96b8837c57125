// A label for each word of a text, and the spans that the labels join.

import { disclosure, element, said, table } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { fieldOf } from "./fields.js";
import { Job } from "./job.js";
import { modelChoice } from "./modelchoice.js";
import { modelsOf } from "./models.js";
import { FEW, inParts, stepsOf } from "./parts.js";
import { Cursor } from "./plots/cursor.js";
import { strip } from "./plots/strip.js";
import { post, textRequest } from "./requests.js";
import { answeredBy, drawFacts, drawShares, once } from "./results.js";
import { furnish } from "./section.js";
import { cutting, linesOf, textOf, unread, wireText } from "./textjob.js";
import { canSay, count, percent, say } from "./words.js";

const STARTS = [["en", "I saw a man with a saw, and he left his watch on the left side of the desk."]];
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
  const textarea = element("textarea", { id: "tag-text", rows: 4, spellcheck: false, value: textOf(STARTS) });
  const models = element("div", { id: "tag-model" });
  const examples = element("div", { className: "examples", role: "group" });
  examples.dataset.sayLabel = "examples";
  furnish("tag", [said("label", "tagLabel", { htmlFor: textarea.id }), textarea, examples, models]);
  const served = () => modelsOf("tagging");
  const again = () => {
    job.changed();
    if (job.answered) job.run();
  };
  const model = modelChoice(models, served, { usual: "byScript", changed: again });
  const cut = cutting(textarea);
  const make = (inputs) => textRequest("v1/tag", inputs, { ...model.options(), ...cut.options(), scores: true });
  const draw = once(drawResult);
  const job = new Job("tag", {
    request: () => ({ sources: [linesOf(textarea)].flat(), refused: unread(textarea.value, served().filter(({ name }) => !model.field.get() || name === model.field.get())), steps: stepsOf(make, linesOf(textarea)) }),
    ask: ({ sources }, signal, progress) => inParts(sources, async (part) => (await post(make(part), signal)).results, progress),
    draw: ({ results, sources }) => results.map((result, at) => draw(result, sources[at], sources.length > FEW)),
    summary: ({ results }) => results.map(({ tags }) => tags.map(({ text, label }) => `${text} ${shortWords(label)}`).join(", ")).join(". "),
    cut,
    fields: { text: fieldOf(textarea), model: model.field },
  });
  showDomain(job.form, ofTask("tagging"), () => model.field.get());
  wireText(job, textarea, { starts: STARTS, examples: EXAMPLES, served });
  return job;
}

/** `isOneOfMany`: no room is left for the shares of a word. */
function drawResult({ tags, spans, ...result }, source, isOneOfMany) {
  const hues = huesOf(result.model);
  const characters = [...source]; // tags count Unicode code points
  const cursor = new Cursor(tags.length);
  const describe = ({ text, label, score }) => say("tagged", { word: text, label: tagWords(label), percent: percent(score, 1) });
  const pieces = tags.map((tag, at) => ({
    text: characters.slice(at ? tags[at - 1].end : tag.start, tag.end).join(""),
    name: describe(tag),
    hue: hues.get(baseOf(tag.label)),
    parts: [tag.text, element("span", { className: "note", textContent: shortWords(tag.label) })],
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
    { className: isOneOfMany ? "result tags many" : "result tags" },
    strip({ about: say("taggedWords"), pieces, cursor }),
    readout,
    shares,
    ...(spans ? [drawSpans(spans, hues, cursor)] : []),
    drawFacts({ textContent: say("wordCount", { count: count(tags.length) }) }, answeredBy(result)),
    disclosure(say("asTable"), () => table(say("taggedWords"), [say("word"), say("tag"), say("share")], tags.map(({ text, label, score }) => [text, tagWords(label), percent(score, 1)]))),
  );
}

/** A universal part of speech, or a kind of entity, in words, others as the model names them. */
function shortWords(label) {
  const known = [`tag.${label}`, `entity.${baseOf(label)}`].find(canSay);
  return known ? say(known) : label;
}

/** Words, and the label of the API. */
function tagWords(label) {
  const words = shortWords(label);
  return words === label ? label : `${words} (${label})`;
}

/** The most probable labels of a word. */
function mostOf(scores) {
  const sorted = Object.entries(scores).sort(([, one], [, other]) => other - one);
  return sorted.slice(0, MOST).map(([label, share]) => [tagWords(label), share]);
}

/** The spans as buttons that point at their first word. */
function drawSpans(spans, hues, cursor) {
  if (!spans.length) return element("p", { className: "hint", textContent: say("noSpans") });
  const buttons = spans.map(({ label, text, first, score }) => {
    const button = element("button", { type: "button", className: "token hued" }, text, element("span", { className: "note", textContent: `${shortWords(label)} ${percent(score)}` }));
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
