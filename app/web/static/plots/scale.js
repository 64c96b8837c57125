// The legend of a heat map: which colour is which value.

import { element } from "../dom.js";
import { number } from "../words.js";
import { ramp } from "./colours.js";

/** The range of nearly all values. Outliers get the full colour, so that the other values keep their contrast. */
export function reachOf(rows) {
  const sizes = rows.flat().map(Math.abs).sort((one, other) => one - other);
  return sizes[Math.floor(0.98 * (sizes.length - 1))] || 1;
}

/** The colours from lowest to highest, of amounts from 0 to 1 or of values with a sign. */
export function drawScale(amount, reach) {
  const bar = element("span", { className: "ramp" });
  bar.style.background = ramp(amount ? "amount" : "sign", reach);
  const marks = amount ? ["0", "1"] : [`≤ ${number(-reach)}`, "0", `≥ ${number(reach)}`];
  return element(
    "div",
    { className: "scale", ariaHidden: "true" },
    bar,
    element("span", { className: "marks" }, ...marks.map((textContent) => element("span", { textContent }))),
  );
}
