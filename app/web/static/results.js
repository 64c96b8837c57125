// Parts of a result that all tasks show: its text, and the facts about it.

import { element } from "./dom.js";
import { canSay, number, percent, say } from "./words.js";

export function drawFacts(...facts) {
  return element("p", { className: "facts" }, ...facts.map((fact) => element("span", fact)));
}

/** The version that answered, as a fact. */
export function answeredBy({ model, version }) {
  return { textContent: `${model}/${version}`, className: "model" };
}

/** The facts of an output text. One that the model is unsure of is marked. */
export function drawScore(result) {
  const { finish_reason: reason, confidence, unsure } = result;
  const sure = confidence === undefined ? [] : [{ textContent: say("confidence", { percent: percent(confidence) }), title: say("confidenceAbout") }];
  return drawFacts(
    ...(unsure ? [{ textContent: say("unsure"), className: "unsure", title: say("unsureAbout") }] : []),
    ...sure,
    { textContent: say("score", { score: number(result.score) }), title: say("scoreAbout") },
    { textContent: canSay(reason) ? say(reason) : say("finish", { reason }) },
    answeredBy(result),
  );
}

/** An output text, or a note that it is empty. */
export function drawSentence(text, lang) {
  if (text) return element("p", { className: "sentence", lang, textContent: text });
  return element("p", { className: "sentence nothing", textContent: say("emptySentence") });
}

/** A label in the language of the page, or else as the model names it. */
export function labelWords(label) {
  return canSay(`label.${label}`) ? say(`label.${label}`) : label;
}

/** Pairs of a text and its probability, as bars. */
export function drawShares(pairs) {
  return pairs.map(([text, share]) => {
    const bar = element("span", { className: "share" });
    bar.style.width = `${share * 100}%`;
    return element("li", {}, bar, element("span", { className: "text", textContent: text }), element("span", { className: "percent", textContent: percent(share, 1) }));
  });
}
