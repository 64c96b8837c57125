// Shared by tasks with a textarea: reading its lines, the text that it begins with, examples, files, and Ctrl+Enter.

import { element } from "./dom.js";
import { takeTextFile } from "./files.js";
import { modelsKnown, whenModels } from "./models.js";
import { languageNames, say, whenSpoken } from "./words.js";

const SCRIPTS = { en: /\p{Script=Latin}/gu, ko: /\p{Script=Hangul}/gu };

/** The content of a textarea as `inputs`: one text, or a list if several lines are not blank. */
export function linesOf(textarea) {
  const lines = textarea.value.split("\n").filter((line) => line.trim());
  return lines.length > 1 ? lines : textarea.value.trim();
}

/** Whether what does not fit of the content of a textarea is left out: after `start()`, until the content changes. */
export function cutting(textarea) {
  let cut = null;
  const isOn = () => {
    if (textarea.value !== cut) cut = null;
    return cut !== null;
  };
  return { isOn, options: () => (isOn() ? { truncate: true } : {}), start: () => (cut = textarea.value) };
}

/** The problem of a text in the script of another language than those that `models` read; null if one of them may read it. */
export function unread(text, models) {
  const languages = models.length ? languagesRead(models) : null;
  if (!languages?.every((language) => SCRIPTS[language])) return null;
  const letters = Object.entries(SCRIPTS).map(([code, script]) => [code, text.match(script)?.length ?? 0]);
  const [most, count] = letters.sort(([, one], [, other]) => other - one)[0];
  if (!count || languages.includes(most)) return null;
  return { slug: "other-language", advice: "otherLanguage", values: { languages: languageNames(languages) } };
}

/** The languages that models read; null if one of them does not say its own, or if no model is known yet. */
export function languagesRead(models) {
  if (!modelsKnown() || models.some(({ languages }) => !languages.length)) return null;
  return [...new Set(models.map(({ languages }) => languages[0]))];
}

/**
 * Connect a textarea: Ctrl or Cmd with Enter, a text file that is dropped, and `examples`, pairs of language and text, which
 * fill it and run `job`. Of `starts`, pairs too, the textarea begins with the first `most`. Of both, those in a language of
 * `served()` are offered.
 */
export function wireText(job, textarea, { starts, most = 1, examples, served, run = () => job.run() }) {
  let begun = textOf(starts.slice(0, most));
  const put = (text) => {
    textarea.value = text;
    job.changed();
  };
  textarea.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) run();
  });
  takeTextFile(textarea.form, (text) => {
    put(text);
    run();
  });
  const buttons = examples.map(([lang, text]) => {
    const button = element("button", { type: "button", className: "example", lang, textContent: text });
    button.addEventListener("click", () => {
      put(text);
      run();
    });
    return button;
  });
  job.form.querySelector(".examples").append(...buttons);
  whenModels(() => {
    const languages = languagesRead(served());
    const fits = ([lang]) => languages === null || languages.includes(lang);
    examples.forEach((example, at) => (buttons[at].hidden = !fits(example)));
    if (textarea.value === begun) textarea.value = begun = textOf(starts.filter(fits).slice(0, most));
    job.showCode();
  });
}

/** The texts of `starts`, pairs of language and text, a line for each. */
export function textOf(starts) {
  return starts.map(([, text]) => text).join("\n");
}

/** Say on the label of a textarea which languages `served()` read. */
export function sayLanguages(textarea, served) {
  const [label] = textarea.labels;
  const show = () => {
    const languages = modelsKnown() ? languagesRead(served()) : ["en", "ko"];
    label.textContent = languages?.length ? say("textIn", { languages: languageNames(languages) }) : say("text");
  };
  whenModels(show);
  whenSpoken(show);
}
