// The choice among the models of a task.

import { choice } from "./dom.js";
import { modelsOf, whenModels } from "./models.js";
import { say, whenSpoken } from "./words.js";

/** Offer the models of a task in `place` if it has several, and call `changed()` after a choice. Returns a function that
 * returns the options of a request. */
export function modelChoice(place, task, usual, changed) {
  let model = "";
  const offer = () => {
    const names = modelsOf(task).map(({ name }) => name);
    if (!names.includes(model)) model = "";
    const choose = (value) => {
      model = value;
      changed();
    };
    const options = [["", say(usual)], ...names.map((name) => [name, name])];
    place.replaceChildren(...(names.length > 1 ? [choice(say("model"), options, model, choose)] : []));
  };
  whenModels(offer);
  whenSpoken(offer);
  return () => (model ? { model } : {});
}
