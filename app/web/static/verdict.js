// The label of a text; that of a sentiment with its degree from negative to positive, as words and as a bar.

import { element } from "./dom.js";
import { labelWords } from "./results.js";
import { number, say } from "./words.js";

export function drawVerdict({ label, polarity }) {
  if (polarity === undefined) return [element("div", { className: "verdict" }, element("strong", { className: "label", textContent: labelWords(label) }))];
  const sign = polarity < 0 ? "negative" : "positive";
  const degree = number(polarity, { signed: true });
  const bar = element("span", { className: `bar ${sign}` });
  bar.style.width = `${Math.abs(polarity) * 50}%`;
  const meter = element("div", { className: "meter", role: "meter", ariaLabel: say("degree") }, bar);
  Object.assign(meter, { ariaValueMin: "-1", ariaValueMax: "1", ariaValueNow: polarity.toFixed(2), ariaValueText: degree });
  return [
    element(
      "div",
      { className: "verdict" },
      element("strong", { className: `label ${sign}`, textContent: labelWords(label) }),
      element("span", { className: "degree", textContent: degree }),
    ),
    meter,
  ];
}
