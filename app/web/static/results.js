// What all jobs show of a result: its sentence, and the facts about it.

import { element } from "./dom.js";
import { canSay, number, say } from "./words.js";

export function drawFacts(...facts) {
  return element("p", { className: "facts" }, ...facts.map((fact) => element("span", fact)));
}

/** The fact which model answered. */
export function answeredBy({ model, version }) {
  return { textContent: `${model}/${version}`, className: "model" };
}

/** The facts of an emitted sentence. */
export function drawScore(result) {
  const { finish_reason: reason } = result;
  return drawFacts(
    { textContent: say("score", { score: number(result.score) }), title: say("scoreAbout") },
    { textContent: canSay(reason) ? say(reason) : say("finish", { reason }) },
    answeredBy(result),
  );
}

/** An emitted sentence, or that there is none. */
export function drawSentence(text, lang) {
  if (text) return element("p", { className: "sentence", lang, textContent: text });
  return element("p", { className: "sentence nothing", textContent: say("emptySentence") });
}

/** A label in words, with the model's own beside it. */
export function labelWords(label) {
  return canSay(label) ? say(label) : label;
}
