// The page: jobs to try with a look into the memory, the service at work, and its models.

import { captionJob } from "./caption.js";
import { compareJob } from "./compare.js";
import { completeJob } from "./complete.js";
import { keyWanted, whenKey } from "./key.js";
import { wireKeyDialog } from "./keydialog.js";
import { modelsOf, watchReadiness, whenModels } from "./models.js";
import { sentimentJob } from "./sentiment.js";
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

/** A link sends no key: what wants one is not offered. */
function offerLinks() {
  for (const link of document.querySelectorAll("[data-keyless]")) link.hidden = keyWanted();
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    speakChosen();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", respeak); // plots have colours of their own

const jobs = { sentiment: sentimentJob(), captioning: captionJob(), translation: translateJob(), completion: completeJob() };
compareJob();
throughputPanel();
whenModels(() => {
  for (const [task, job] of Object.entries(jobs)) job.setServed(modelsOf(task).length > 0);
});
wireKeyDialog();
whenKey(offerLinks);
offerLinks();
speakChosen();
watchReadiness();
