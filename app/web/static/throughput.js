// Live figures: throughput and batch sizes, requested while the panel is visible.

import { whenKey } from "./key.js";
import { whenModels, modelsOf } from "./models.js";
import { figures, rates } from "./metrics.js";
import { trend } from "./plots/trend.js";
import { problemTitle, wantsKey } from "./problems.js";
import { post, textRequest } from "./requests.js";
import { count, number, say, whenSpoken } from "./words.js";

const POLL_MILLISECONDS = 1000;
const KEPT_SECONDS = 60;
const TRENDS = ["requests", "tokens", "rows"];
const CROWD = { requests: 20, sentences: 50, atOnce: 2 }; // of the button
const SENTENCES = ["Open file", "The file could not be found.", "Select the text you want to copy.", "Do you want to save the changes before closing?"];

/** Connect the panel. */
export function throughputPanel() {
  const panel = document.getElementById("live");
  const lines = Object.fromEntries(TRENDS.map((name) => [name, trend(panel.querySelector(`[data-trend=${name}]`), KEPT_SECONDS)]));
  let points = []; // { at, figures, rates }
  let timer = null;
  let failure = null;

  const watched = () => panel.open && document.visibilityState === "visible";

  async function ask() {
    try {
      const now = { at: performance.now() / 1000, figures: await figures() };
      const last = points.at(-1);
      now.rates = last ? rates(last.figures, now.figures, now.at - last.at) : null;
      points = [...points, now].filter(({ at }) => now.at - at <= KEPT_SECONDS);
      failure = null;
    } catch (problem) {
      failure = problem;
    }
    show();
    const going = watched() && !(failure && wantsKey(failure)); // without a key, wait until one is entered
    timer = going ? setTimeout(ask, POLL_MILLISECONDS) : null;
  }

  function show() {
    const alert = panel.querySelector(".failed");
    const words = failure ? problemTitle(failure) : "";
    if (alert.textContent !== words) alert.textContent = words; // screen readers announce only changes
    const now = points.at(-1);
    if (!now) return;
    for (const name of TRENDS) {
      const known = points.filter((point) => point.rates);
      const highest = Math.max(0, ...known.map((point) => point.rates[name]));
      panel.querySelector(`[data-figure=${name}]`).textContent = now.rates ? rounded(now.rates[name]) : "–";
      panel.querySelector(`[data-highest=${name}]`).textContent = say("highest", { value: rounded(highest) });
      lines[name](known.map((point) => [point.at - now.at, point.rates[name]]));
    }
    panel.querySelector("[data-figure=pending]").textContent = String(now.figures.pending);
    panel.querySelector("[data-figure=engines]").textContent = say("ofEngines", now.figures);
    const { used, slots } = now.figures;
    panel.querySelector("[data-figure=slots]").textContent = say("ofSlots", { used: count(used), slots: count(slots) });
  }

  function watch() {
    if (watched() && timer === null) {
      timer = 0; // a request is pending
      ask();
    }
  }

  const openIfFollowed = () => {
    if (location.hash === "#live") panel.open = true;
  };

  panel.addEventListener("toggle", watch);
  addEventListener("hashchange", openIfFollowed);
  document.querySelector("[href='#live']").addEventListener("click", () => (panel.open = true)); // also when the location does not change
  document.addEventListener("visibilitychange", watch);
  whenKey(watch);
  whenSpoken(show);
  wireCrowd();
  openIfFollowed();
}

/** The button that translates many sentences at once, which fills a batch. */
function wireCrowd() {
  const button = document.getElementById("live-crowd");
  const alert = document.getElementById("live-status");
  button.addEventListener("click", async () => {
    button.disabled = true;
    const started = performance.now();
    try {
      await sendCrowd();
      const seconds = number((performance.now() - started) / 1000, { digits: 2 });
      alert.textContent = say("crowdAnswered", { count: count(CROWD.requests * CROWD.sentences), seconds });
    } catch (problem) {
      alert.textContent = problemTitle(problem);
    }
    button.disabled = false;
    button.focus({ preventScroll: true });
  });
  const offer = () => {
    button.textContent = say("crowd", { count: count(CROWD.requests * CROWD.sentences) });
    button.hidden = !modelsOf("translation").length;
  };
  whenSpoken(offer);
  whenModels(offer);
}

/** Send the requests of the button, a few at a time. */
async function sendCrowd() {
  const inputs = Array.from({ length: CROWD.sentences }, (_, at) => SENTENCES[at % SENTENCES.length]);
  let left = CROWD.requests;
  const sender = async () => {
    while (left-- > 0) await post(textRequest("v1/translate", inputs));
  };
  await Promise.all(Array.from({ length: CROWD.atOnce }, sender));
}

function rounded(value) {
  return value < 100 ? number(value, { digits: 1 }) : count(Math.round(value));
}
