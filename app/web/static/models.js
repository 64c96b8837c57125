// Whether the service is ready, and the models that it serves.

import { element } from "./dom.js";
import { whenUnreached } from "./unreached.js";
import { enterKey, keyRefused, whenKey } from "./key.js";
import { problemTitle, wantsKey } from "./problems.js";
import { get, getOpen } from "./requests.js";
import { count, language, number, say, whenSpoken } from "./words.js";
import described from "./words/ko-models.js";

const POLL_MILLISECONDS = 1000;
const watchers = [];
let served = { models: [], broken: [] };
let known = false;

/** Call `watcher()` when the models are known. */
export function whenModels(watcher) {
  watchers.push(watcher);
}

/** Whether the models are known. */
export function modelsKnown() {
  return known;
}

/** The models of a task, by name, each in its default version. */
export function modelsOf(task) {
  return modelsWhere((model) => model.task === task);
}

/** The models that `fit`, as `modelsOf`; one that answers requests without a name is first. */
export function modelsWhere(fit) {
  const found = served.models.filter((model) => model.default_version && fit(model));
  return [...found.filter((model) => model.default), ...found.filter((model) => !model.default)];
}

/** The languages of a model, source first. */
export function languagesOf(name) {
  return served.models.find((model) => model.name === name)?.languages ?? [];
}

/** Poll the readiness of the server until it is ready, then request its models. */
export function watchReadiness() {
  const shown = document.getElementById("readiness");
  const enter = document.getElementById("key-enter");
  let watching = false;
  let draw = () => {};
  whenSpoken(() => draw());

  function become(state, words) {
    draw = () => {
      shown.dataset.state = state;
      enter.hidden = state !== "locked";
      const place = shown.querySelector(".words");
      if (place.textContent !== words()) place.textContent = words(); // screen readers announce only changes
    };
    draw();
  }

  function askAgain(problem) {
    if (problem.status === 503) become("starting", () => say("starting"));
    else become("unreachable", () => problemTitle(problem));
    setTimeout(ask, POLL_MILLISECONDS);
  }

  function lock(problem) {
    const missing = () => say(keyRefused() ? "keyUnknown" : "keyNeeded");
    become("locked", problem.status === 401 ? missing : () => problemTitle(problem));
    watching = false; // until another key is entered
  }

  async function ask() {
    let engines;
    try {
      engines = await getOpen("readyz");
    } catch (problem) {
      return askAgain(problem);
    }
    try {
      served = await get("v1/models");
    } catch (problem) {
      return wantsKey(problem) ? lock(problem) : askAgain(problem);
    }
    const { engines_ready: ready, engines: all, broken } = engines;
    become("ready", () => say(broken.length ? "readyBroken" : "ready", { ready, engines: all, broken: broken.length }));
    watching = false;
    known = true;
    showModels();
    for (const watcher of watchers) watcher();
  }

  const start = () => {
    if (watching) return;
    watching = true;
    ask();
  };
  enter.addEventListener("click", async () => {
    if (await enterKey()) start();
  });
  whenKey(start);
  whenUnreached(start);
  whenSpoken(showModels);
  start();
}

function showModels() {
  if (!known) return;
  const shown = [...served.models.map(drawModel), ...served.broken.map(drawBroken)];
  if (!shown.length) shown.push(element("p", { className: "nothing", textContent: say("noModels") }));
  document.querySelector("#models .cards").replaceChildren(...shown);
}

function drawModel(model) {
  const compact = new Intl.NumberFormat(language(), { notation: "compact", maximumSignificantDigits: 2 });
  const size = `${number(model.bytes / 1e6, { digits: 1 })} MB`;
  const quality = model.quality.map(({ measure, value, data }) =>
    element(
      "li",
      {},
      element("strong", { textContent: `${plain(measure)} ${measured(measure, value)}` }),
      element("span", { textContent: plain(data), lang: "en" }),
    ),
  );
  return element(
    "article",
    { className: "card" },
    element("h3", {}, `${model.name}/${model.version}`, ...(model.default ? [element("span", { className: "tag", textContent: say("byDefault") })] : [])),
    describe(model),
    element(
      "details",
      {},
      element("summary", { textContent: say("figures") }),
      element("p", { className: "task", textContent: [model.task, model.languages.join(" → ")].filter(Boolean).join(" · ") }),
      element("p", { textContent: model.architecture, lang: "en" }),
      element("p", { className: "facts", textContent: say("parameters", { count: compact.format(model.parameters), size }) }),
      quality.length ? element("ul", { className: "quality" }, ...quality) : element("p", { className: "facts", textContent: say("noQuality") }),
    ),
  );
}

/** What a model does, in the language of the page if it has words for it. */
function describe({ description }) {
  const korean = language() === "ko" ? described[description] : undefined;
  return element("p", korean ? { textContent: korean } : { textContent: description, lang: "en" });
}

/** The words of a card without its marks, large numbers with their digits in groups. */
function plain(words) {
  return words.replaceAll("`", "").replace(/\d{5,}/g, (digits) => count(Number(digits)));
}

/** A measured quality: a count as a whole number, a share with three digits. */
function measured(measure, value) {
  if (Number.isInteger(value) && !measure.startsWith("accuracy")) return count(value);
  return number(value, { digits: Math.abs(value) <= 1 ? 3 : 1 });
}

function drawBroken({ model, reason }) {
  return element("article", { className: "card broken" }, element("h3", { textContent: model }), element("p", { textContent: say("broken", { reason }) }));
}
