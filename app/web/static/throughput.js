// The service at work: throughput and how full its batches are, asked for while somebody looks.

import { whenModels, modelsOf } from "./models.js";
import { figures, rates } from "./metrics.js";
import { trend } from "./plots/trend.js";
import { post, textRequest } from "./requests.js";
import { number, say, whenSpoken } from "./words.js";

const POLL_MILLISECONDS = 1000;
const KEPT_SECONDS = 60;
const TRENDS = ["requests", "tokens", "rows"];
const CROWD = 48; // sentences of the button, in one request
const SENTENCES = ["Open file", "The file could not be found.", "Select the text you want to copy.", "Do you want to save the changes before closing?"];

/** Wire the panel up. */
export function throughputPanel() {
  const panel = document.getElementById("live");
  const lines = Object.fromEntries(TRENDS.map((name) => [name, trend(panel.querySelector(`[data-trend=${name}]`), KEPT_SECONDS)]));
  let points = []; // { at, figures, rates }
  let timer = null;

  const watched = () => panel.open && document.visibilityState === "visible";

  async function ask() {
    try {
      const now = { at: performance.now() / 1000, figures: await figures() };
      const last = points.at(-1);
      now.rates = last ? rates(last.figures, now.figures, now.at - last.at) : null;
      points = [...points, now].filter(({ at }) => now.at - at <= KEPT_SECONDS);
      show();
    } catch {
      panel.querySelector(".failed").textContent = say("unreachable");
    }
    timer = watched() ? setTimeout(ask, POLL_MILLISECONDS) : null;
  }

  function show() {
    const now = points.at(-1);
    if (!now) return;
    panel.querySelector(".failed").textContent = "";
    for (const name of TRENDS) {
      panel.querySelector(`[data-figure=${name}]`).textContent = now.rates ? number(now.rates[name], { digits: now.rates[name] < 100 ? 1 : 0 }) : "–";
      lines[name](points.filter((point) => point.rates).map((point) => [point.at - now.at, point.rates[name]]));
    }
    panel.querySelector("[data-figure=pending]").textContent = String(now.figures.pending);
    panel.querySelector("[data-figure=engines]").textContent = say("ofEngines", now.figures);
  }

  function watch() {
    if (watched() && timer === null) {
      timer = 0; // asked, and not answered yet
      ask();
    }
  }

  panel.addEventListener("toggle", watch);
  document.addEventListener("visibilitychange", watch);
  whenSpoken(show);
  wireCrowd();
}

/** The button that has many sentences translated at once, so that there is a batch to look at. */
function wireCrowd() {
  const button = document.getElementById("live-crowd");
  const told = document.getElementById("live-told");
  button.addEventListener("click", async () => {
    button.disabled = true;
    const started = performance.now();
    try {
      await post(textRequest("v1/translate", Array.from({ length: CROWD }, (_, at) => SENTENCES[at % SENTENCES.length])));
      const seconds = number((performance.now() - started) / 1000, { digits: 2 });
      told.textContent = say("crowdAnswered", { count: CROWD, seconds });
    } catch (problem) {
      told.textContent = problem.title || say("unreachable");
    }
    button.disabled = false;
    button.focus({ preventScroll: true });
  });
  const offer = () => {
    button.textContent = say("crowd", { count: CROWD });
    button.hidden = !modelsOf("translation").length;
  };
  whenSpoken(offer);
  whenModels(offer);
}
