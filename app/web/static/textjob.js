// What jobs over a textarea have in common: a text to start from, examples, and a key that runs them.

import { element } from "./dom.js";

/** What a textarea holds, as the API wants it: one text, or a list when there are more lines that are not blank. */
export function linesOf(textarea) {
  const lines = textarea.value.split("\n").filter((line) => line.trim());
  return lines.length > 1 ? lines : textarea.value.trim();
}

/** Let examples fill the textarea and run `job`, and Ctrl or Cmd with Enter run it. */
export function wireText(job, textarea, examples, run = () => job.run()) {
  textarea.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) run();
  });
  const buttons = examples.map(([lang, text]) => {
    const button = element("button", { type: "button", className: "example", lang, textContent: text });
    button.addEventListener("click", () => {
      textarea.value = text;
      job.showCurl();
      run();
    });
    return button;
  });
  job.form.querySelector(".examples").append(...buttons);
}
