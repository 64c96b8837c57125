// A clip as a flip-book: its frames in order, backwards or shuffled, and the label after each.

import { asFiles, framesOf, sampled } from "./clipfiles.js";
import { disclosure, element, said, table } from "./dom.js";
import { showDomain } from "./domain.js";
import { isImage, mayBeImage, takeFiles } from "./files.js";
import { Job } from "./job.js";
import { drawMemory } from "./memory.js";
import { memorySwitch } from "./memoryswitch.js";
import { modelChoice } from "./modelchoice.js";
import { modelsWhere, whenModels } from "./models.js";
import { Cursor } from "./plots/cursor.js";
import { linePlot, lineSample } from "./plots/line.js";
import { player } from "./plots/player.js";
import { strip } from "./plots/strip.js";
import { pictureRequest, post } from "./requests.js";
import { answeredBy, drawFacts, labelWords } from "./results.js";
import { chooser, furnish } from "./section.js";
import { shrunk } from "./shrink.js";
import { percent, say, whenSpoken } from "./words.js";

const EXAMPLE = { name: "example-clip.webp", shipped: "assets/web/example-clip.webp", frames: [] };
const STEP_MILLISECONDS = 450;
const LINES = 4; // labels that have a line
const SMALL = 100; // pixels: a smaller image is enlarged without smoothing

/** Connect the section. */
export function clipJob() {
  const own = { accept: "image/gif,image/webp,image/png,image/jpeg", multiple: true };
  const [file, choose] = chooser("clip-file", "clipChoose", own);
  const useExample = said("button", "clipExample", { type: "button", className: "button", id: "clip-example" });
  const name = element("p", { className: "name" });
  const film = element("div", { className: "film" });
  const zone = element("div", { className: "zone" }, element("div", { className: "choose" }, file, choose, useExample, said("p", "clipDrop", { className: "hint" }), name, film));
  const models = element("div");
  const box = element("input", { type: "checkbox", id: "clip-memory" });
  box.setAttribute("role", "switch");
  const reverse = said("button", "clipReverse", { type: "button", className: "button" });
  const shuffle = said("button", "clipShuffle", { type: "button", className: "button" });
  furnish("clip", [zone, models, element("label", { className: "check" }, box, " ", said("span", "clipMemory"))], [reverse, shuffle]);
  let clip = EXAMPLE;
  const memory = memorySwitch(box, () => {
    job.changed();
    if (job.answered) job.run();
  });

  const fits = ({ source, labels }) => source === "frames" && labels.length > 0;
  const served = () => modelsWhere(fits);
  const model = modelChoice(models, served, { changed: () => show(clip) });
  const request = () => {
    const options = { ...model.options(), explain: true, ...memory.options(1, 0) };
    return { ...pictureRequest("v1/classify", clip, options, "frames"), shown: read() };
  };
  /** The frames that the model reads. */
  const read = () => (clip.frames.length ? sampled(clip.frames, model.chosen()?.frames ?? clip.frames.length) : []);
  const job = new Job("clip", {
    request,
    ask: ({ shown }, signal) => memory.asked(async () => ({ ...(await post(request(), signal)), shown })),
    draw: ({ results, shown }) => results.map((result) => drawResult(result, shown, memory)),
    summary: ({ results: [{ label, score }] }) => `${labelWords(label)}, ${say("probability", { percent: percent(score) })}`,
    fields: { ...memory.fields, model: model.field },
  });

  function show(taken) {
    clip = taken;
    job.clear();
    job.changed();
    describe();
  }

  function describe() {
    name.textContent = [clip.name, clip.order && say(clip.order)].filter(Boolean).join(", ");
    film.replaceChildren(...read().map(({ image }) => copyOf(image)));
    for (const button of [reverse, shuffle]) job.allow(button, clip.frames.length > 1);
  }

  async function take(taken) {
    show({ ...taken, frames: await decoded(taken) });
  }

  /** Show the frames of the example, which the page begins with. */
  async function begin() {
    const frames = await decoded(EXAMPLE);
    if (clip === EXAMPLE) clip = { ...EXAMPLE, frames };
    describe();
  }

  /** Answer the frames that the model reads in another order. */
  async function reorder(order, ordered) {
    const frames = ordered(read()).map(({ image }) => ({ image, milliseconds: 1 }));
    show({ name: clip.name, order, frames, files: await asFiles(frames) });
    job.run();
  }

  function offerFrames() {
    if (served().length && clip === EXAMPLE) begin();
    describe();
  }

  showDomain(job.form, fits, () => model.field.get());
  useExample.addEventListener("click", () => take(EXAMPLE).then(() => job.run()));
  const takeFrames = async (chosen) => {
    const files = chosen.length > 1 ? await Promise.all(chosen.map(async (one) => (await shrunk(one)).file)) : chosen; // one may be animated
    await take({ name: chosen.map((one) => one.name).join(", "), files });
    job.run();
    zone.scrollIntoView({ block: "nearest" });
  };
  takeFiles(zone, file, takeFrames, { accepts: mayBeImage, everywhere: (files) => files.every(isImage) && (files.length > 1 || files[0].type === "image/gif") });
  reverse.addEventListener("click", () => reorder(clip.order === "clipReversed" ? "" : "clipReversed", (frames) => frames.toReversed()));
  shuffle.addEventListener("click", () => reorder("clipShuffled", shuffled));
  whenModels(() => {
    job.setServed(served().length > 0);
    offerFrames();
    job.showCode();
  });
  whenSpoken(offerFrames);
  return job;
}

async function decoded({ files, shipped }) {
  return framesOf(files ?? [await (await fetch(shipped)).blob()]);
}

/** Another order of items. */
function shuffled(items) {
  const order = items.map((item) => ({ item, key: Math.random() })).sort((one, other) => one.key - other.key).map(({ item }) => item);
  return order.some((item, at) => item !== items[at]) ? order : items.toReversed();
}

function copyOf(image) {
  const canvas = element("canvas", { width: image.width, height: image.height, className: image.width < SMALL ? "small-image" : "" });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas;
}

function drawResult({ label, score, explanation: { labels, probabilities, activations, method }, ...result }, shown, memory) {
  const cursor = new Cursor(probabilities.length);
  const numbers = probabilities.map((_, at) => String(at + 1));
  const column = labels.indexOf(label);
  const describe = (at) => say("afterFrame", { frame: at + 1, label: labelWords(label), percent: percent(probabilities[at][column], 1) });
  const page = element("canvas", { className: "look", role: "img" });
  const readout = element("p", { className: "readout" });
  const pieces = numbers.map((text, at) => ({
    text: ` ${text}`,
    name: describe(at),
    tone: probabilities[at][column],
    parts: [...(shown[at] ? [copyOf(shown[at].image)] : [text]), element("span", { className: "note", textContent: percent(probabilities[at][column]) })],
  }));
  const { root: legend, show: showLegend, lines } = drawLegend(labels, probabilities);
  function show(at) {
    readout.textContent = at === null ? say("pointAtFrame") : describe(at);
    showLegend(at ?? probabilities.length - 1);
    const image = shown[at ?? shown.length - 1]?.image;
    if (!image) return;
    Object.assign(page, { width: image.width, height: image.height, ariaLabel: say("frame", { frame: (at ?? shown.length - 1) + 1 }) });
    page.classList.toggle("small-image", image.width < SMALL);
    page.getContext("2d").drawImage(image, 0, 0);
  }
  cursor.watch(show);
  show(null);
  const about = say("frameLines", { labels: lines.map((place) => labelWords(labels[place])).join(", ") });
  const series = lines.map((place) => ({ values: probabilities.map((row) => row[place]) }));
  return element(
    "div",
    { className: "result clip" },
    element("div", { className: "verdict" }, element("strong", { className: "label", textContent: labelWords(label) }), element("span", { className: "degree", textContent: percent(score, 1) })),
    drawFacts(answeredBy(result)),
    element("div", { className: "looking" }, page, element("div", {}, strip({ about: say("framesAbout", { label: labelWords(label) }), pieces, cursor }), readout, player(cursor, page, STEP_MILLISECONDS))),
    legend,
    linePlot({ about, labels: numbers, series, cursor, height: 150 }),
    ...(method === "one pass" ? [] : [element("p", { className: "hint", textContent: say("framesReadAnew") })]),
    disclosure(say("asTable"), () => table(about, [say("frameHead"), ...labels.map(labelWords)], probabilities.map((row, at) => [numbers[at], ...row.map((value) => percent(value, 1))]))),
    ...(activations ? [drawMemory(activations, numbers, cursor, { memory })] : []),
  );
}

/** The legend: the labels that were most probable at some frame, each with its probability. `lines` are their places. */
function drawLegend(labels, probabilities) {
  const most = labels.map((_, place) => Math.max(...probabilities.map((row) => row[place])));
  const lines = [...labels.keys()].sort((one, other) => probabilities.at(-1)[other] - probabilities.at(-1)[one] || most[other] - most[one]).slice(0, LINES);
  const shares = lines.map(() => element("strong"));
  const items = lines.map((place, which) => element("li", {}, lineSample(which), element("span", {}, `${labelWords(labels[place])} `, shares[which])));
  const show = (at) => lines.forEach((place, which) => (shares[which].textContent = percent(probabilities[at][place], 1)));
  return { root: element("ul", { className: "legend" }, ...items), show, lines };
}
