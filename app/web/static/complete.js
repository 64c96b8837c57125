// A language model completes a text and shows the most probable next tokens: a click appends one.

import { element } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { fieldOf } from "./fields.js";
import { Job } from "./job.js";
import { memorySwitch } from "./memoryswitch.js";
import { modelChoice } from "./modelchoice.js";
import { modelsOf } from "./models.js";
import { events, post, textRequest, withDetails } from "./requests.js";
import { answeredBy, drawFacts, drawRefusedMemory } from "./results.js";
import { drawRuns } from "./runs.js";
import { wireText } from "./textjob.js";
import { number, percent, say, whenSpoken } from "./words.js";

const STARTS = [
  ["en", "The clouds are in the"],
  ["ko", "오늘은 날씨가 정말"],
];
const EXAMPLES = [
  ["en", "I grew up in France. I speak fluent"],
  ["ko", "배가 고파서 밥을"],
];
const NEXT = 10; // next tokens to show
const SPECIAL = /^<(0x[0-9A-F]{2}|[a-z]+)>$/; // eos, or a byte of a character: not a part of a text

/** Connect the section. */
export function completeJob() {
  const textarea = document.getElementById("complete-text");
  const length = document.getElementById("complete-length");
  const temperature = document.getElementById("complete-temperature");
  const topP = document.getElementById("complete-top-p");
  const back = document.getElementById("complete-back");
  const before = []; // the texts before each addition, for undo
  textarea.value = STARTS[0][1];

  const served = () => modelsOf("completion");
  const model = modelChoice(document.getElementById("complete-model"), served, { usual: "byScript", changed: () => job.changed() });
  const memory = memorySwitch(document.getElementById("complete-memory"), () => {
    job.changed();
    if (job.answered) askNext();
  });
  const details = () => (memory.isOn() ? ["explain"] : []);
  const next = (wanted = details()) =>
    textRequest("v1/complete", textarea.value, { ...model.options(), max_tokens: 1, next_tokens: NEXT, ...(wanted.includes("explain") && memory.options()) });
  const answerNext = (signal) => memory.asked(() => withDetails(details(), next, (asked) => post(asked, signal)));
  const onward = () => textRequest("v1/complete", textarea.value, { ...model.options(), max_tokens: Number(length.value), stream: true, ...drawing() });

  /** The options of drawn tokens; at temperature 0 nothing is drawn. */
  function drawing() {
    const [warmth, share] = [Number(temperature.value), Number(topP.value)];
    return warmth ? { temperature: warmth, ...(share < 1 && { top_p: share }) } : {};
  }

  function offerBack() {
    job.allow(back, before.length > 0);
  }

  function become(text) {
    textarea.value = text;
    textarea.scrollTop = textarea.scrollHeight;
    offerBack();
    job.changed();
  }

  function add(text) {
    become(textarea.value ? textarea.value + text : text.trimStart());
  }

  async function goOn(request, signal) {
    before.push(textarea.value);
    for await (const { event, data } of events(request, signal)) if (event === "token") add(data.text);
    return answerNext(signal);
  }

  const job = new Job("complete", {
    request: () => {
      const request = onward();
      return memory.isOn() ? { ...request, steps: [...request.steps, ...next().steps] } : request;
    },
    ask: goOn,
    empty: true, // an empty text starts a new one
    open: () => askNext(), // a link shows what comes next, and adds nothing to its text
    draw: ({ results }) => [drawNext(results[0], take, memory)],
    fields: { text: fieldOf(textarea), model: model.field, tokens: fieldOf(length), temperature: fieldOf(temperature), top_p: fieldOf(topP), ...memory.fields },
    summary: ({ results }) => results[0].next.slice(0, 3).map(({ text, probability }) => `${text} ${percent(probability)}`).join(", "),
  });
  const askNext = () => job.run({ request: next(), ask: (_, signal) => answerNext(signal) });

  async function take(token) {
    before.push(textarea.value);
    add(token);
    await askNext();
    document.querySelector("#complete .next button")?.focus({ preventScroll: true });
  }

  back.addEventListener("click", () => {
    become(before.pop());
    askNext();
  });
  textarea.addEventListener("input", () => {
    before.length = 0;
    offerBack();
  });
  document.getElementById("complete-next").addEventListener("click", askNext);
  const sayDrawing = () => {
    const warmth = Number(temperature.value);
    sayValue(temperature, warmth ? number(warmth, { digits: 1 }) : say("likeliest"));
    sayValue(topP, number(Number(topP.value)));
    topP.disabled = !warmth;
  };
  for (const slider of [temperature, topP]) slider.addEventListener("input", sayDrawing);
  whenSpoken(sayDrawing);
  showDomain(job.form, ofTask("completion"), () => model.field.get());
  wireText(job, textarea, { starts: STARTS, examples: EXAMPLES, served, run: askNext });
  return job;
}

function sayValue(slider, words) {
  document.querySelector(`output[for=${slider.id}]`).textContent = words;
  slider.ariaValueText = words;
}

/** The next tokens as bars, each a button that appends its token, and what the network kept of the text. */
function drawNext({ next, explanation, ...result }, take, memory) {
  const bars = next.map(({ text, probability }) => {
    const special = SPECIAL.test(text);
    const bar = element("span", { className: "share" });
    bar.style.width = `${probability * 100}%`;
    const button = element(
      "button",
      { type: "button", disabled: special, ariaLabel: say("takeToken", { token: text, percent: percent(probability, 1) }) },
      bar,
      element("span", { className: "text", textContent: text === "<eos>" ? say("theEnd") : text.replace(/^ /, "␣") }),
      element("span", { className: "percent", textContent: percent(probability, 1) }),
    );
    button.addEventListener("click", () => take(text));
    return element("li", {}, button);
  });
  return element(
    "div",
    { className: "result" },
    element("p", { className: "hint", textContent: say("nextAbout") }),
    element("ol", { className: "next" }, ...bars),
    drawFacts(answeredBy(result)),
    ...(explanation ? drawRuns(explanation.runs, { named: "reads", memory }) : memory.isOn() ? [drawRefusedMemory()] : []),
  );
}
