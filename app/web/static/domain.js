// What the models of a section are for, said beside its input before one sends it.

import { element } from "./dom.js";
import { modelsWhere, whenModels } from "./models.js";
import { language, whenSpoken } from "./words.js";

/** Show in `form` the domains of the models that `fit`: of those that `chosen()` names, or else of the default ones. Call
 * the returned function after a choice that no control of the form made. */
export function showDomain(form, fit, chosen) {
  const note = element("div", { className: "domain hint" });
  form.querySelector(".run").before(note);
  const draw = () => {
    const names = [chosen() ?? []].flat().filter(Boolean);
    const answering = modelsWhere((model) => fit(model) && (names.length ? names.includes(model.name) : model.default));
    const texts = answering.map(({ domain }) => domain?.[language()] ?? domain?.en).filter(Boolean);
    note.replaceChildren(...[...new Set(texts)].map((text) => element("p", { textContent: text })));
    note.hidden = !texts.length;
  };
  form.addEventListener("change", draw);
  whenModels(draw);
  whenSpoken(draw);
  return draw;
}

/** Whether a model has the `task`. */
export function ofTask(task) {
  return (model) => model.task === task;
}
