// What a state has read, as a reader sees it: how much, the size of the state, and the end of its text.

import { drawFacts } from "./results.js";
import { count, say } from "./words.js";

const SHOWN = 160; // characters

/** The end of a text. */
export function endOf(text) {
  return text.length > SHOWN ? `…${text.slice(-SHOWN)}` : text;
}

/** The facts of an answer: `now` steps were read, and the state had read `kept`; without `state` it returned none. */
export function drawKept({ unit }, { now, kept, state }, ...facts) {
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
