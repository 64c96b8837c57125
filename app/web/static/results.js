// Parts of a result that all tasks show: its text, and the facts about it.

import { element } from "./dom.js";
import { canSay, count, number, percent, say, whenSpoken } from "./words.js";

/** Facts: `{ textContent, className, about }`; `about` explains the fact when it is pointed at or in the focus. */
export function drawFacts(...facts) {
  return element("p", { className: "facts" }, ...facts.map(({ about, ...fact }) => (about ? drawTerm(fact.textContent, about, fact.className) : element("span", fact))));
}

let terms = 0;

/** A term whose meaning is shown when it is pointed at or in the focus. */
export function drawTerm(textContent, about, className = "") {
  const id = `term-${(terms += 1)}`;
  const term = element("button", { type: "button", className: `term ${className}`, textContent });
  term.setAttribute("aria-describedby", id);
  return element("span", { className: "explained" }, term, element("span", { id, className: "meaning", role: "tooltip", textContent: about }));
}

/** A note that a text is too long for a plot: its answer has no explanation. */
export function drawUnplotted({ unplotted }) {
  return element("p", { className: "hint", textContent: unplotted ? say("tooLongToPlot", { limit: count(unplotted) }) : say("tooMuchToPlot") });
}

/** A note that an answer has no memory to show. */
export function drawRefusedMemory() {
  return element("p", { className: "hint", textContent: say("noMemory") });
}

/** A `draw(item, ...)` that draws each item once, until the language or the colours change. */
export function once(draw) {
  let drawn = new WeakMap();
  whenSpoken(() => (drawn = new WeakMap()));
  return (item, ...others) => {
    if (!drawn.has(item)) drawn.set(item, draw(item, ...others));
    return drawn.get(item);
  };
}

/** The version that answered, as a fact. */
export function answeredBy({ model, version }) {
  return { textContent: `${model}/${version}`, className: "model" };
}

/** The facts of an output text. One that the model is unsure of is marked. */
export function drawScore(result) {
  const { finish_reason: reason, confidence, unsure } = result;
  const sure = confidence === undefined ? [] : [{ textContent: say("confidence", { percent: percent(confidence) }), about: say("confidenceAbout") }];
  return drawFacts(
    ...(unsure ? [{ textContent: say("unsure"), className: "unsure", about: say("unsureAbout") }] : []),
    ...sure,
    { textContent: say("score", { score: number(result.score) }), about: say("scoreAbout") },
    { textContent: canSay(reason) ? say(reason) : say("finish", { reason }), about: say(canSay(`${reason}About`) ? `${reason}About` : "finishAbout") },
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
