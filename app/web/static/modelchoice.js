// The choice among the models of a task.

import { choice } from "./dom.js";
import { modelsKnown, whenModels } from "./models.js";
import { say, whenSpoken } from "./words.js";

/**
 * Offer the models that `served()` returns in `place`, and call `changed()` after a choice. `usual` are the words for no
 * choice, which is offered if the service has a model for it: one that `answers(model)`. Returns `{ options, chosen, field }`:
 * the options of a request, the chosen model or the one that answers without a choice, and the field for `keepFields`.
 */
export function modelChoice(place, served, { usual, answers = (model) => model.default, changed }) {
  let name = "";
  const usually = () => usual && (!modelsKnown() || served().some(answers));
  const offer = () => {
    const names = served().map((model) => model.name);
    if (modelsKnown() && !names.includes(name)) name = usually() ? "" : (names[0] ?? "");
    const choose = (value) => {
      name = value;
      changed();
    };
    const options = [...(usually() ? [["", say(usual)]] : []), ...names.map((one) => [one, one])];
    place.replaceChildren(...(names.length > (usually() ? 1 : 0) ? [choice(say("model"), options, name, choose)] : []));
  };
  whenModels(offer);
  whenSpoken(offer);
  return {
    options: () => (name ? { model: name } : {}),
    chosen: () => served().find((model) => (name ? model.name === name : answers(model))),
    field: {
      get: () => name,
      set(value) {
        name = value;
        offer();
      },
    },
  };
}
