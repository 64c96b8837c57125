// The page: three jobs to try, the readiness of the server, and its models.

import { get, pictureRequest, post, textRequest } from "./requests.js";
import { canSay, duration, fill, language, number, say, speak } from "./words.js";

const SENTIMENT_START = "A warm, funny film that I would gladly see again.\n돈이 아깝다. 최악의 영화";
const SENTIMENT_EXAMPLES = [
  ["en", "The plot makes no sense and the acting is worse."],
  ["en", "It starts slowly, but the last hour is wonderful."],
  ["ko", "정말 재미있게 봤어요. 강력 추천합니다!"],
  ["ko", "배우들 연기는 좋은데 이야기가 너무 지루하다."],
];
const TRANSLATE_START = "Do you want to save the changes before closing?";
const TRANSLATE_EXAMPLES = [
  ["en", "Open file"],
  ["en", "The file could not be found."],
  ["en", "Returns a new list."],
  ["en", "Select the text you want to copy."],
];
const EXAMPLE_PICTURE = "assets/web/example.webp";
const POLL_MILLISECONDS = 1000;

const redrawn = []; // called when the language changes

/** A new element with `text` in it and `properties` set. */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** One job: its form, the request that the form stands for, and the answer or the problem that came back. */
class Job {
  #section;
  #request;
  #drawResult;
  #state = { kind: "idle" };
  #running = null;

  /** `request()` is what the form stands for; `drawResult(result, source)` shows one result and what it is for. */
  constructor(id, { request, drawResult }) {
    this.#section = document.getElementById(id);
    this.#request = request;
    this.#drawResult = drawResult;
    this.#addCurl();
    this.#find("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    this.#find("form").addEventListener("input", () => this.showCurl());
    redrawn.push(() => this.#draw());
    this.#draw();
    this.showCurl();
  }

  /** Send the request and show what comes back; an earlier one still on its way is given up. */
  async run() {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    const focused = document.activeElement;
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    const request = this.#request();
    this.#become({ kind: "running", seconds: 0 });
    const clock = setInterval(() => this.#tick(seconds()), 100);
    let state;
    try {
      state = { kind: "answered", sources: request.sources, ...(await post(request, running.signal)) };
    } catch (problem) {
      if (problem.name === "AbortError") return;
      state = { kind: "failed", problem };
    } finally {
      clearInterval(clock);
    }
    this.#running = null;
    this.#become({ ...state, seconds: seconds() });
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
    if (state.problem && [0, 503].includes(state.problem.status)) watchReadiness();
  }

  /** Forget the last answer, which was to something else. */
  clear() {
    this.#running?.abort();
    this.#running = null;
    this.#become({ kind: "idle" });
  }

  /** Show the curl command of the form as it stands. */
  showCurl() {
    this.#find(".curl code").textContent = this.#request().curl;
  }

  /** Say, or no longer say, that no model does this job. */
  setServed(served) {
    this.#section.classList.toggle("unserved", !served);
    this.#draw();
  }

  #become(state) {
    this.#state = state;
    this.#draw();
  }

  #draw() {
    const { kind, sources, results, problem, seconds } = this.#state;
    for (const control of this.#section.querySelectorAll("form button, form input[type=file]")) {
      control.disabled = kind === "running";
    }
    this.#section.setAttribute("aria-busy", String(kind === "running"));
    this.#find(".error").replaceChildren(...(kind === "failed" ? [drawProblem(problem)] : []));
    if (kind !== "running") {
      const drawn = kind === "answered" ? results.map((result, index) => this.#drawResult(result, sources?.[index])) : [];
      if (kind === "idle") drawn.push(this.#drawNothing());
      this.#find(".results").replaceChildren(...drawn);
    }
    const clock = { answered: "answered", failed: "failed" }[kind];
    this.#find(".clock").textContent = clock ? say(clock, { time: duration(seconds) }) : "";
    if (kind === "running") this.#tick(seconds);
  }

  #drawNothing() {
    const unserved = this.#section.classList.contains("unserved");
    return element("p", { className: "nothing", textContent: say(unserved ? "noModel" : "noAnswer") });
  }

  #tick(seconds) {
    this.#find(".clock").textContent = `${say("running")} ${number(seconds, { digits: 1 })} s`;
  }

  #addCurl() {
    const shown = document.getElementById("curl-template").content.cloneNode(true);
    const copy = shown.querySelector("button");
    const code = shown.querySelector("code");
    shown.querySelector("pre").dataset.sayLabel = "curl";
    copy.addEventListener("click", async () => {
      await copyText(code);
      copy.textContent = say("copied");
      setTimeout(() => (copy.textContent = say("copy")), 1500);
    });
    this.#find(".curl").append(shown);
  }

  #find(selector) {
    return this.#section.querySelector(selector);
  }
}

function drawProblem(problem) {
  const unreached = problem.status === 0;
  const title = unreached ? say("unreachable") : problem.title;
  const detail = unreached ? say("unreachableDetail") : problem.detail;
  return element(
    "div",
    { className: "problem" },
    element("strong", { textContent: title }),
    element("p", { textContent: detail }),
    ...(unreached ? [] : [element("p", { className: "facts", textContent: `HTTP ${problem.status}` })]),
  );
}

function drawFacts(...facts) {
  return element("p", { className: "facts" }, ...facts.map((fact) => element("span", fact)));
}

function answeredBy(result) {
  return { textContent: `${result.model}/${result.version}`, className: "model" };
}

function drawSentence(result, { source, lang }) {
  const text = result.text || say("emptySentence");
  const reason = canSay(result.finish_reason)
    ? say(result.finish_reason)
    : say("finish", { reason: result.finish_reason });
  return element(
    "div",
    { className: "result" },
    ...(source ? [element("p", { className: "source", lang: "en", textContent: source })] : []),
    element("p", {
      className: result.text ? "sentence" : "sentence nothing",
      lang: result.text ? lang : language,
      textContent: text,
    }),
    drawFacts(
      { textContent: say("score", { score: number(result.score) }), title: say("scoreAbout") },
      { textContent: reason },
      answeredBy(result),
    ),
  );
}

function drawLabel(result, text) {
  const sign = result.polarity < 0 ? "negative" : "positive";
  const degree = number(result.polarity, { signed: true });
  const bar = element("span", { className: `bar ${sign}` });
  bar.style.width = `${Math.abs(result.polarity) * 50}%`;
  const meter = element("div", { className: "meter", role: "meter", ariaLabel: say("degree") }, bar);
  Object.assign(meter, { ariaValueMin: "-1", ariaValueMax: "1", ariaValueNow: result.polarity.toFixed(2) });
  meter.setAttribute("aria-valuetext", degree);
  const percent = `${(result.score * 100).toFixed(1)}%`;
  return element(
    "div",
    { className: "result" },
    element("p", { className: "source", textContent: text }),
    element(
      "div",
      { className: "verdict" },
      element("strong", {
        className: `label ${sign}`,
        textContent: canSay(result.label) ? say(result.label) : result.label,
      }),
      element("span", { className: "degree", textContent: degree }),
    ),
    meter,
    element(
      "div",
      { className: "scale", ariaHidden: "true" },
      ...["−1", "0", "+1"].map((mark) => element("span", { textContent: mark })),
    ),
    drawFacts({ textContent: say("probability", { percent }) }, answeredBy(result)),
  );
}

/** What a textarea holds, as the API wants it: one text, or a list when there are more lines that are not blank. */
function inputsOf(textarea, { byLine }) {
  const lines = textarea.value.split("\n").filter((line) => line.trim());
  return byLine && lines.length > 1 ? lines : textarea.value.trim();
}

/** A job over a textarea: examples that fill it and run. */
function textJob(id, { path, start, examples, byLine, drawResult }) {
  const textarea = document.getElementById(`${id}-text`);
  textarea.value = start;
  const request = () => textRequest(path, inputsOf(textarea, { byLine: byLine() }));
  const job = new Job(id, { request, drawResult });
  textarea.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) job.run();
  });
  const buttons = examples.map(([lang, text]) => {
    const button = element("button", { type: "button", className: "example", lang, textContent: text });
    button.addEventListener("click", () => {
      textarea.value = text;
      job.showCurl();
      job.run();
    });
    return button;
  });
  textarea.form.querySelector(".examples").append(...buttons);
  return job;
}

/** The captioning job: a picture from the file picker, dropped, pasted, or the example. */
function captionJob() {
  const section = document.getElementById("caption");
  const zone = section.querySelector(".zone");
  const preview = section.querySelector(".preview");
  const chooser = document.getElementById("caption-file");
  const example = { name: "example.webp", shipped: EXAMPLE_PICTURE };
  let picture = example;
  const job = new Job("caption", {
    request: () => pictureRequest("v1/caption", picture),
    drawResult: (result) => drawSentence(result, { lang: "en" }),
  });

  function describe() {
    preview.alt = say("preview", { name: picture.name });
    section.querySelector(".name").textContent = picture.name;
  }

  function show(chosen) {
    picture = chosen;
    URL.revokeObjectURL(preview.src);
    preview.src = chosen.shipped ?? URL.createObjectURL(chosen.file);
    preview.hidden = false;
    describe();
    job.clear();
    job.showCurl();
  }

  function take(chosen) {
    show(chosen);
    job.run();
  }

  function takeFile(file) {
    take({ name: file.name, file });
  }

  preview.addEventListener("error", () => (preview.hidden = true)); // not a picture: the server says so
  chooser.addEventListener("change", () => {
    if (chooser.files.length) takeFile(chooser.files[0]);
    chooser.value = ""; // so that choosing the same file again counts as a change
  });
  document.getElementById("caption-example").addEventListener("click", () => take(example));
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    // everywhere: a picture that misses the zone must not replace the page
    window.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      const inside = zone.contains(event.target);
      zone.classList.toggle("over", inside && name !== "drop" && name !== "dragleave");
      const [file] = event.dataTransfer.files;
      if (name === "drop" && inside && file) takeFile(file);
    });
  }
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (!file || event.clipboardData.types.includes("text/plain")) return; // text from an office program has both
    event.preventDefault();
    takeFile(file);
    section.scrollIntoView({ block: "nearest" });
  });
  redrawn.push(describe);
  show(example);
  return job;
}

/** Ask whether the server is ready until it is, then ask for its models. */
const watchReadiness = (() => {
  const shown = document.getElementById("readiness");
  let watching = false;
  let draw = () => {};
  redrawn.push(() => draw());

  function become(state, key, values) {
    draw = () => {
      shown.dataset.state = state;
      const words = say(key, values);
      const place = shown.querySelector(".words");
      if (place.textContent !== words) place.textContent = words; // read aloud only when it changes
    };
    draw();
  }

  async function ask() {
    try {
      const { engines_ready: ready, engines, broken } = await get("readyz");
      become("ready", broken.length ? "readyBroken" : "ready", { ready, engines, broken: broken.length });
      watching = false;
      await showModels();
    } catch (problem) {
      if (problem.status === 0) become("unreachable", "unreachable");
      else become("starting", "starting");
      watching = true;
      setTimeout(ask, POLL_MILLISECONDS);
    }
  }

  return () => {
    if (watching) return;
    watching = true;
    ask();
  };
})();

let drawModels = () => {};
redrawn.push(() => drawModels());

async function showModels() {
  const { models, broken } = await get("v1/models");
  const tasks = new Set(models.map((model) => model.task));
  for (const [task, job] of Object.entries(jobs)) job.setServed(tasks.has(task));
  drawModels = () => {
    const cards = [...models.map(drawModel), ...broken.map(drawBroken)];
    if (!cards.length) cards.push(element("p", { className: "nothing", textContent: say("noModels") }));
    document.querySelector("#models .cards").replaceChildren(...cards);
  };
  drawModels();
}

function drawModel(model) {
  const count = new Intl.NumberFormat(language, { notation: "compact", maximumSignificantDigits: 2 });
  const size = `${(model.bytes / 1e6).toFixed(1)} MB`;
  const quality = model.quality.map(({ measure, value, data }) =>
    element(
      "li",
      {},
      element("strong", { textContent: `${measure} ${value.toFixed(Math.abs(value) <= 1 ? 3 : 1)}` }),
      element("span", { textContent: data, lang: "en" }),
    ),
  );
  return element(
    "article",
    { className: "card" },
    element(
      "h3",
      {},
      `${model.name}/${model.version}`,
      ...(model.default ? [element("span", { className: "tag", textContent: say("byDefault") })] : []),
    ),
    element("p", { className: "task", textContent: `${model.task} · ${model.languages.join(" → ")}` }),
    element("p", { textContent: model.architecture, lang: "en" }),
    element("p", {
      className: "facts",
      textContent: say("parameters", { count: count.format(model.parameters), size }),
    }),
    quality.length
      ? element("ul", { className: "quality" }, ...quality)
      : element("p", { className: "facts", textContent: say("noQuality") }),
  );
}

function drawBroken({ model, reason }) {
  return element(
    "article",
    { className: "card broken" },
    element("h3", { textContent: model }),
    element("p", { textContent: say("broken", { reason }) }),
  );
}

async function copyText(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // without https on another machine there is no clipboard API; the older way copies a selection
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
}

function speakChosen() {
  document.documentElement.lang = language;
  fill(document);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  for (const redraw of redrawn) redraw();
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    speakChosen();
  });
}

const eachLine = document.getElementById("sentiment-lines");
const jobs = {
  sentiment: textJob("sentiment", {
    path: "v1/sentiment",
    start: SENTIMENT_START,
    examples: SENTIMENT_EXAMPLES,
    byLine: () => eachLine.checked,
    drawResult: drawLabel,
  }),
  translation: textJob("translate", {
    path: "v1/translate",
    start: TRANSLATE_START,
    examples: TRANSLATE_EXAMPLES,
    byLine: () => true,
    drawResult: (result, source) => drawSentence(result, { source, lang: "ko" }),
  }),
  captioning: captionJob(),
};
speakChosen();
watchReadiness();
