// The choice among the registers that a model writes in.

import { choice } from "./dom.js";
import { modelsWhere, whenModels } from "./models.js";
import { canSay, say, whenSpoken } from "./words.js";

/** Offer in `place` the registers of the model that `chosen()` names, or else of the default one of those that `fit`, and
 * call `changed()` after a choice. Returns a function that returns the options of a request. */
export function registerChoice(place, fit, chosen, changed) {
  let register = "";
  const names = () => {
    const name = chosen();
    return modelsWhere((model) => fit(model) && (name ? model.name === name : model.default))[0]?.registers?.names ?? [];
  };
  const offer = () => {
    if (!names().includes(register)) register = "";
    const options = [["", say("registerOwn")], ...names().map((name) => [name, canSay(`register_${name}`) ? say(`register_${name}`) : name])];
    const choose = (value) => {
      register = value;
      changed();
    };
    place.replaceChildren(...(names().length ? [choice(say("register"), options, register, choose)] : []));
  };
  place.closest("form").addEventListener("change", offer);
  whenModels(offer);
  whenSpoken(offer);
  return () => (register && names().includes(register) ? { register } : {});
}
