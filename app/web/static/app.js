// The page: tasks with a view of the memory, live figures, and the models.

import { captionJob } from "./caption.js";
import { clipJob } from "./clip.js";
import { compareJob } from "./compare.js";
import { completeJob } from "./complete.js";
import { forecastJob } from "./forecast.js";
import { keptJob } from "./kept.js";
import { keyWanted, whenKey } from "./key.js";
import { wireKeyDialog } from "./keydialog.js";
import { modelsOf, watchReadiness, whenModels } from "./models.js";
import { sentimentJob } from "./sentiment.js";
import { tagJob } from "./tag.js";
import { throughputPanel } from "./throughput.js";
import { translateJob } from "./translate.js";
import { fill, language, respeak, speak } from "./words.js";

function speakChosen() {
  document.documentElement.lang = language;
  fill(document);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
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
  captioning: captionJob(),
  translation: translateJob(),
  completion: completeJob(),
  tagging: tagJob(),
  forecasting: forecastJob(),
};
sentimentJob();
compareJob();
clipJob();
keptJob();
throughputPanel();
whenModels(() => {
  for (const [task, job] of Object.entries(jobs)) job.setServed(modelsOf(task).length > 0);
});
wireKeyDialog();
whenKey(offerLinks);
offerLinks();
speakChosen();
watchReadiness();
