// A caption of an image, and the attention at each of its words.

import { disclosure, element, table } from "./dom.js";
import { ofTask, showDomain } from "./domain.js";
import { isImage, mayBeImage, takeFiles } from "./files.js";
import { Job } from "./job.js";
import { memorySwitch } from "./memoryswitch.js";
import { modelChoice } from "./modelchoice.js";
import { languagesOf, modelsOf } from "./models.js";
import { Cursor } from "./plots/cursor.js";
import { drawLook } from "./plots/overlay.js";
import { player } from "./plots/player.js";
import { strip, wordOf } from "./plots/strip.js";
import { pictureRequest, post, withDetails } from "./requests.js";
import { drawRefusedMemory, drawScore, drawSentence } from "./results.js";
import { drawRuns } from "./runs.js";
import { shrunk } from "./shrink.js";
import { percent, say, whenSpoken } from "./words.js";

const EXAMPLE = { name: "example.webp", shipped: "assets/web/example.webp" };
const STEP_MILLISECONDS = 650;

/** Connect the section: an image is picked, dropped or pasted, or is the example. */
export function captionJob() {
  const section = document.getElementById("caption");
  const preview = section.querySelector(".preview");
  let picture = EXAMPLE;
  const model = modelChoice(document.getElementById("caption-model"), () => modelsOf("captioning"), { usual: "byDefault", changed: () => job.changed() });
  const memory = memorySwitch(document.getElementById("caption-memory"), () => {
    job.changed();
    if (job.answered) job.run();
  });
  const details = () => ["attention", ...(memory.isOn() ? ["explain"] : [])];
  const request = (wanted = details()) =>
    pictureRequest("v1/caption", picture, { ...model.options(), ...(wanted.includes("attention") && { attention: true }), ...(wanted.includes("explain") && memory.options()) });
  const job = new Job("caption", {
    request,
    ask: (_, signal) => memory.asked(() => withDetails(details(), request, (asked) => post(asked, signal))),
    draw: ({ results }) => results.map((result) => drawResult(result, preview, memory)),
    summary: ({ results }) => results[0].text,
    fields: { model: model.field, ...memory.fields },
  });

  function describe() {
    const { name, from, to } = picture;
    preview.alt = say("preview", { name });
    section.querySelector(".name").textContent = from ? say("scaledDown", { name, from: from.join(" × "), to: to.join(" × ") }) : name;
  }

  function show(chosen) {
    picture = chosen;
    URL.revokeObjectURL(preview.src);
    preview.src = chosen.shipped ?? URL.createObjectURL(chosen.files[0]);
    preview.hidden = false;
    describe();
    job.clear();
    job.showCode();
  }

  function take(chosen) {
    show(chosen);
    job.run();
  }

  preview.addEventListener("error", () => (preview.hidden = true)); // not an image: the server reports it
  document.getElementById("caption-example").addEventListener("click", () => take(EXAMPLE));
  const takeFile = async (chosen) => {
    const { file, ...sizes } = await shrunk(chosen);
    take({ name: chosen.name, files: [file], ...sizes });
    section.scrollIntoView({ block: "nearest" });
  };
  takeFiles(section.querySelector(".zone"), document.getElementById("caption-file"), ([file]) => takeFile(file), { accepts: mayBeImage, everywhere: (files) => files.length === 1 && isImage(files[0]) && files[0].type !== "image/gif" });
  takePasted(takeFile);
  whenSpoken(describe);
  showDomain(job.form, ofTask("captioning"), () => model.field.get());
  show(EXAMPLE);
  return job;
}

/** Call `take(file)` for a pasted file. */
function takePasted(take) {
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (!file || event.clipboardData.types.includes("text/plain")) return; // office programs paste a text as an image, too
    event.preventDefault();
    take(file);
  });
}

function drawResult(result, picture, memory) {
  const lang = languagesOf(result.model).at(-1) ?? "en";
  const cursor = result.attention && new Cursor(result.attention.target.length);
  const { runs } = result.explanation ?? {};
  const shown = runs ? drawRuns(runs, { named: "writes", memory, cursor, lang }) : memory.isOn() ? [drawRefusedMemory()] : [];
  const parts = [...(result.attention ? drawLooks(result, picture, lang, cursor) : []), ...shown];
  return element("div", { className: "result" }, drawSentence(result.text, lang), drawScore(result), ...parts);
}

/** The image, a button for each word that shows its attention, and a button that plays all words; `cursor` is shared. */
function drawLooks({ attention }, picture, lang, cursor) {
  const { target, weights } = attention;
  const canvas = element("canvas", { className: "look", role: "img" });
  const readout = element("p", { className: "readout" });
  const words = target.map((word) => (word === "<eos>" ? say("theEnd") : wordOf(word)));
  const describe = (at) => lookWords(words[at], weights[at]);
  const show = (at) => {
    drawLook(canvas, picture, at === null ? null : weights[at]);
    canvas.ariaLabel = at === null ? say("lookNone") : describe(at);
    readout.textContent = at === null ? say("pointAtCaption") : describe(at);
  };
  cursor.watch(show);
  if (picture.complete) show(null);
  else picture.addEventListener("load", () => show(cursor.at), { once: true });
  const pieces = target.map((word, at) => ({ text: word === "<eos>" ? ` ${words[at]}` : word, name: describe(at) }));
  return [
    element("div", { className: "looking" }, canvas, element("div", {}, strip({ about: say("captionWords"), pieces, cursor, lang }), readout, player(cursor, canvas, STEP_MILLISECONDS))),
    disclosure(say("asTable"), () => {
      const rows = words.map((word, at) => [word, place(weights[at]).words, percent(place(weights[at]).most, 1)]);
      return table(say("lookTable"), [say("word"), say("looksAt"), say("share")], rows);
    }),
  ];
}

function lookWords(word, weights) {
  const { words, most } = place(weights);
  return say("looks", { word, place: words, percent: percent(most) });
}

/** The ninth of the image with the largest share of the attention. */
function place(weights) {
  const third = (at, count) => Math.min(2, Math.floor((at * 3) / count));
  const shares = Array(9).fill(0);
  weights.forEach((row, down) => row.forEach((weight, across) => (shares[third(down, weights.length) * 3 + third(across, row.length)] += weight)));
  const most = Math.max(...shares);
  return { most, words: say(`place${shares.indexOf(most)}`) };
}
