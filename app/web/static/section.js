// A section of a task that is made here: heading, form, the place of the answer, and that of the curl command. Its texts
// are those of the words `<id>Title`, `<id>About` and `<id>Run`.

import { element, said } from "./dom.js";

/** Fill the section `id`; `controls` are the parts of its form, `buttons` stand beside the one that sends it. */
export function furnish(id, controls, buttons = []) {
  const section = document.getElementById(id);
  section.setAttribute("aria-labelledby", `${id}-title`);
  const clock = element("span", { className: "clock", ariaHidden: "true" });
  const run = element("div", { className: "run" }, said("button", `${id}Run`, { type: "submit", className: "primary" }), ...buttons, clock);
  section.append(
    element("header", {}, element("div", {}, said("h2", `${id}Title`, { id: `${id}-title` }), said("p", `${id}About`))),
    element("div", { className: "sides" }, element("form", { noValidate: true }, ...controls, run), element("div", { className: "answer" })),
    element("div", { className: "curl" }),
  );
  return section;
}

/** A button that chooses files; `own` are the properties of its input. */
export function chooser(id, key, own) {
  return [element("input", { type: "file", id, className: "unseen", ...own }), said("label", key, { htmlFor: id, className: "button" })];
}
