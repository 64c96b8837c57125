// The language of the page, and its texts.

import en from "./words/en.js";
import ko from "./words/ko.js";

/** All texts, by language. */
export const WORDS = { en, ko };

const KEPT = "unroll.language";
const drawn = [];

let current = kept() ?? (navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en");

/** The current language: "en" or "ko". */
export function language() {
  return current;
}

/** The text of `key`, with each {name} replaced by `values[name]`. */
export function say(key, values = {}) {
  return WORDS[current][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Whether `key` has a text. */
export function canSay(key) {
  return Object.hasOwn(WORDS[current], key);
}

/** Change the language to `chosen`, also after a reload. */
export function speak(chosen) {
  current = chosen;
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // storage is disabled: the choice is kept until the page is left
  }
}

/** Call `draw()` whenever the language or the colours change. */
export function whenSpoken(draw) {
  drawn.push(draw);
}

/** Redraw everything. */
export function respeak() {
  for (const draw of drawn) draw();
}

/** Set the texts of all elements below `root` with data-say or data-say-label. */
export function fill(root) {
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of root.querySelectorAll("[data-say-label]")) {
    element.setAttribute("aria-label", say(element.dataset.sayLabel));
  }
}

/** Seconds as a short text: "12 ms" or "1.4 s". */
export function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

/** A share as a percentage: "97%". */
export function percent(share, digits = 0) {
  return `${(share * 100).toFixed(digits)}%`;
}

/** A count, with its digits in groups: "12,400". */
export function count(value) {
  return new Intl.NumberFormat(current).format(value);
}

/** The names of languages: "English or Korean". */
export function languageNames(codes) {
  const names = new Intl.DisplayNames(current, { type: "language" });
  return new Intl.ListFormat(current, { type: "disjunction" }).format(codes.map((code) => nameOf(names, code)));
}

function nameOf(names, code) {
  try {
    return names.of(code);
  } catch {
    return code; // no language tag
  }
}

/** A number with a real minus sign and, when `signed`, a plus. */
export function number(value, { signed = false, digits = 2 } = {}) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : signed ? "+" : "") + text;
}

function kept() {
  try {
    const found = localStorage.getItem(KEPT);
    return found && Object.hasOwn(WORDS, found) ? found : null;
  } catch {
    return null;
  }
}
