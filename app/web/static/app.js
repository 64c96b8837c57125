// The page: tasks with a view of the memory, live figures, and the models.

import { captionJob } from "./caption.js";
import { clipJob } from "./clip.js";
import { compareJob } from "./compare.js";
import { completeJob } from "./complete.js";
import { followLink } from "./fields.js";
import { forecastJob } from "./forecast.js";
import { keptJob } from "./kept.js";
import { keyWanted, whenKey } from "./key.js";
import { wireKeyDialog } from "./keydialog.js";
import { modelsKnown, modelsOf, watchReadiness, whenModels } from "./models.js";
import { uplot } from "./plots/uplot.js";
import { sentimentJob } from "./sentiment.js";
import { tagJob } from "./tag.js";
import { throughputPanel } from "./throughput.js";
import { translateJob } from "./translate.js";
import { fill, language, respeak, speak } from "./words.js";

function speakChosen() {
  document.documentElement.lang = language();
  fill(document);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()));
  }
  respeak();
}

/** Hide links that need a key: a link cannot send one. */
function offerLinks() {
  for (const link of document.querySelectorAll("[data-keyless]")) link.hidden = keyWanted();
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    speakChosen();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", respeak); // plots must be redrawn in the new colours

const jobs = {
  sentiment: sentimentJob(),
  compare: compareJob(),
  caption: captionJob(),
  translate: translateJob(),
  complete: completeJob(),
  "kept-typed": keptJob(),
  tag: tagJob(),
  forecast: forecastJob(),
  clip: clipJob(),
};
const TASKS = { caption: "captioning", translate: "translation", complete: "completion", tag: "tagging", forecast: "forecasting" }; // of sections with one
throughputPanel();
whenModels(() => {
  for (const [id, task] of Object.entries(TASKS)) jobs[id].setServed(modelsOf(task).length > 0);
});

let linked = null; // the section that a link has filled, until it is answered

/** Show what a link carries, and its answer as soon as the models are known. */
function openLink() {
  linked = followLink();
  if (modelsKnown()) answerLink();
}

function answerLink() {
  if (linked) jobs[linked].open();
  linked = null;
}

whenModels(answerLink);
whenModels(uplot); // before it is needed, and after all that the page needs to begin
addEventListener("hashchange", openLink);
wireKeyDialog();
whenKey(offerLinks);
offerLinks();
speakChosen();
openLink();
watchReadiness();
