// A section of a task that is made here: heading, form, the place of the answer, and that of the code. Its texts
// are those of the words `<id>Title`, `<id>About` and `<id>Run`.

import { element, said } from "./dom.js";
import { say } from "./words.js";

/** Fill the section `id`; `controls` are the parts of its form, `buttons` stand beside the one that sends it. */
export function furnish(id, controls, buttons = []) {
  const section = headed(id);
  section.append(...jobParts(`${id}Run`, controls, buttons));
  return section;
}

/** The section `id` with its heading alone. */
export function headed(id) {
  const section = document.getElementById(id);
  section.setAttribute("aria-labelledby", `${id}-title`);
  section.append(element("header", {}, element("div", {}, said("h2", `${id}Title`, { id: `${id}-title` }), said("p", `${id}About`))));
  return section;
}

/** The form of a job, whose button says `run`, the place of its answer, and that of its code. */
export function jobParts(run, controls, buttons = []) {
  const clock = element("span", { className: "clock", ariaHidden: "true" });
  const row = element("div", { className: "run" }, said("button", run, { type: "submit", className: "primary" }), ...buttons, clock);
  return [
    element("div", { className: "sides" }, element("form", { noValidate: true }, ...controls, row), element("div", { className: "answer" })),
    element("div", { className: "code" }),
  ];
}

/** A button that chooses files; `own` are the properties of its input. */
export function chooser(id, key, own) {
  return [element("input", { type: "file", id, className: "unseen", ...own }), said("label", key, { htmlFor: id, className: "button" })];
}

/** Show a section and its link, or hide both. */
export function showSection(id, shown) {
  document.getElementById(id).hidden = !shown;
  document.querySelector(`.sections a[href="#${id}"]`).hidden = !shown;
}

/** Give a section and its link the title, the link and the description that begin with `key`. */
export function nameSection(id, key) {
  const section = document.getElementById(id);
  const places = { Title: section.querySelector("h2"), About: section.querySelector("header p"), Nav: document.querySelector(`.sections a[href="#${id}"]`) };
  for (const [part, place] of Object.entries(places)) {
    place.dataset.say = key + part;
    place.textContent = say(place.dataset.say);
  }
}
