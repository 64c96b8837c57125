// The memory, kept: a text is typed on and only what is new is read; two endings are tried from a saved point.

import { choice, element, said } from "./dom.js";
import { showDomain } from "./domain.js";
import { Job } from "./job.js";
import { fieldOf } from "./fields.js";
import { takeTextFile } from "./files.js";
import { endingsJob } from "./keptendings.js";
import { drawKept, endOf } from "./keptfacts.js";
import { kindOf, modelsKept } from "./keptkinds.js";
import { isStale, read, readSteps } from "./keptrequests.js";
import { Latest } from "./latest.js";
import { whenModels } from "./models.js";
import { Readings } from "./readings.js";
import { answeredBy } from "./results.js";
import { headed, jobParts, showSection } from "./section.js";
import { say, whenSpoken } from "./words.js";

const STARTS = {
  sentiment: { en: "It begins like a masterpiece,", ko: "처음 한 시간은 정말 좋았는데" },
  completion: { en: "This film is one of the", ko: "오늘은 날씨가 정말" },
};

/** Connect the section. */
export function keptJob() {
  const textarea = element("textarea", { id: "kept-text", rows: 5, spellcheck: false });
  const models = element("div", { className: "choices" });
  const save = said("button", "keptSave", { type: "button", className: "button", disabled: true });
  save.dataset.off = "";
  const hint = element("p", { className: "hint" });
  const typed = element("div", { id: "kept-typed" }, ...jobParts("keptRun", [models, said("label", "keptLabel", { htmlFor: textarea.id }), textarea, hint], [save]));
  const place = element("div", { id: "kept-endings", hidden: true });
  const section = headed("kept");
  section.append(typed, place);

  const readings = new Readings();
  let model = null;
  let shown = null; // the reading that the answer shows
  let isLost = false; // whether a state was refused: the text is read anew when the visitor says so
  let wanted = ""; // the name of a model, before the models are known
  let begun = ""; // the text that the page began with: another one is the visitor's

  function request() {
    if (!model) return { sources: [""], steps: [] };
    const kind = kindOf(model);
    const text = kind.whole(textarea.value);
    const before = readings.before(text);
    const isNothing = !text.trim() || kind.isNothing(kind.inputs(text, "", model));
    return { sources: [isNothing ? "" : text], advice: kind.advice, text, before, kind, model, steps: isNothing ? [] : readSteps(kind, model, text, before) };
  }

  async function ask({ text, before, kind, model }, signal) {
    if (before && kind.isNothing(kind.inputs(text, before.text, model))) return { ...before, now: 0, kept: before.all, known: text, kind };
    try {
      const reading = await read(kind, model, text, before, signal);
      signal.throwIfAborted(); // such as by another model
      readings.keep(reading);
      isLost = false;
      return { ...reading, known: kind.settled(before?.text ?? ""), kind };
    } catch (problem) {
      offer(null);
      if (before && isStale(problem)) {
        readings.forget();
        isLost = true;
        problem.advice = "keptStale";
      }
      throw problem;
    }
  }

  function offer(reading) {
    shown = reading;
    job.allow(save, Boolean(reading));
  }

  function follow() {
    const [text] = request().sources;
    if (!text) clear();
    else if (text !== shown?.text && !isLost) return job.run();
  }

  const draw = (answer, done) => {
    if (done) offer(answer);
    return [drawReading(answer)];
  };
  const fields = { text: fieldOf(textarea), model: { get: () => model?.name ?? wanted, set: (name) => (wanted = name) } };
  const job = new Job("kept-typed", { request, ask, draw, summary: ({ result, kind }) => kind.summary(result), fields });
  const latest = new Latest(follow, () => {});
  const redraw = showDomain(job.form, () => true, () => model?.name);
  const endings = endingsJob(place, {
    back(point, { isUsable }) {
      choose(point.model.name);
      textarea.value = point.text;
      if (isUsable) readings.keep(point);
      textarea.focus();
      latest.push({});
    },
    stale: () => readings.forget(),
  });

  function choose(name) {
    const served = modelsKept();
    const before = model;
    model = served.find((one) => one.name === name) ?? served[0] ?? null;
    models.replaceChildren(choice(say("model"), served.map(nameOf), model?.name, choose));
    hint.textContent = model ? say(`keptAgain_${kindOf(model).unit}`) : "";
    redraw();
    if (model && textarea.value === begun) textarea.value = begun = startOf(model);
    if (model?.name === before?.name && model?.version === before?.version) return job.changed();
    readings.forget();
    clear();
  }

  function clear() {
    isLost = false;
    job.clear();
    offer(null);
    job.changed();
  }

  textarea.addEventListener("input", () => latest.push({}));
  takeTextFile(job.form, fieldOf(textarea).set);
  textarea.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) job.run();
  });
  save.addEventListener("click", () => endings.from({ ...shown, model }));
  whenModels(() => {
    choose(model?.name ?? wanted);
    showSection("kept", model !== null);
  });
  whenSpoken(() => choose(model?.name ?? wanted));
  return job;
}

function nameOf({ name, task }) {
  return [name, `${name} (${say(`keptTask_${task}`)})`];
}

function startOf({ task, languages, series }) {
  if (series) return `${series.features.join(",")}\n`;
  const starts = STARTS[task] ?? STARTS.sentiment;
  return starts[languages[0]] ?? starts.en;
}

function drawReading({ text, known, result, kind, ...counts }) {
  return element(
    "div",
    { className: "result" },
    element("p", { className: "kept" }, element("span", { textContent: endOf(known) }), element("mark", { textContent: endOf(text.slice(known.length)) })),
    ...kind.draw(result),
    drawKept(kind, counts, answeredBy(result)),
  );
}
