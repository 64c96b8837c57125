// How much was read, how much was kept, and the size of the state.

import { drawFacts } from "./results.js";
import { language, say } from "./words.js";

/** The facts of an answer: `now` steps were read, and the state had read `kept`; without `state` it returned none. */
export function drawKept({ unit }, { now, kept, state }, ...facts) {
  const count = (number) => new Intl.NumberFormat(language).format(number);
  const size = state ? [{ textContent: say("keptSize", { bytes: count(bytesOf(state)) }), className: "size" }] : [];
  return drawFacts(
    { textContent: say(`keptNow_${unit}`, { count: count(now) }), className: "now" },
    { textContent: say(`keptBefore_${unit}`, { count: count(kept) }), className: "before" },
    ...size,
    ...facts,
  );
}

/** The bytes of a state, which its text has in base64. */
export function bytesOf(state) {
  return Math.floor((state.length * 3) / 4);
}
