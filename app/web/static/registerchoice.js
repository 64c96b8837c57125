// The choice among the registers that a model writes in.

import { choice } from "./dom.js";
import { whenModels } from "./models.js";
import { canSay, say, whenSpoken } from "./words.js";

/**
 * Offer in `place` the registers of the model that `chosen()` returns, and call `changed()` after a choice. Returns
 * `{ options, field }`: the options of a request, and the field for `keepFields`.
 */
export function registerChoice(place, chosen, changed) {
  let register = "";
  const names = () => chosen()?.registers?.names ?? [];
  const offer = () => {
    const options = [["", say("registerOwn")], ...names().map((name) => [name, canSay(`register_${name}`) ? say(`register_${name}`) : name])];
    const choose = (value) => {
      register = value;
      changed();
    };
    const shown = names().includes(register) ? register : "";
    place.replaceChildren(...(names().length ? [choice(say("register"), options, shown, choose)] : []));
  };
  place.closest("form").addEventListener("change", offer);
  whenModels(offer);
  whenSpoken(offer);
  return {
    options: () => (names().includes(register) ? { register } : {}),
    field: {
      get: () => register,
      set(value) {
        register = value;
        offer();
      },
    },
  };
}
