// Shared by tasks with a textarea: reading its lines, examples, and Ctrl+Enter.

import { element } from "./dom.js";

/** The content of a textarea as `inputs`: one text, or a list if several lines are not blank. */
export function linesOf(textarea) {
  const lines = textarea.value.split("\n").filter((line) => line.trim());
  return lines.length > 1 ? lines : textarea.value.trim();
}

/** Connect the examples, which fill the textarea and run `job`, and Ctrl or Cmd with Enter. */
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
