// The tokens of a text, its words, or the frames of a clip as a row of buttons, one of them current.

import { element } from "../dom.js";

const SPACE = "␣";
const CHARACTERS = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * A row of `pieces`: `{ text, name, tone, hue, parts }`: `text` is shown with its spaces, or `parts`, elements, in its
 * place; `name` is for screen readers; `tone` from -1 to 1 or `hue`, an angle, is the colour. A piece whose text is null is part of a character and shares the button of the next piece
 * with a text. One button is in the tab order; arrow keys, Home and End move the focus. `cursor` is shared.
 */
export function strip({ about, pieces, cursor, lang = "" }) {
  const groups = groupsOf(pieces);
  const buttons = groups.map(({ text, last }, place) => {
    const { name, tone, hue, parts = [text.trim() || SPACE] } = pieces[last];
    const button = element("button", { type: "button", className: "token", ariaLabel: name }, ...parts);
    button.tabIndex = place ? -1 : 0;
    if (tone !== undefined) {
      button.classList.add(tone < 0 ? "negative" : "positive");
      button.style.setProperty("--much", `${Math.round(Math.abs(tone) * 55)}%`);
    }
    if (hue !== undefined) {
      button.classList.add("hued");
      button.style.setProperty("--hue", hue);
    }
    button.addEventListener("click", () => cursor.move(last));
    button.addEventListener("focus", () => cursor.move(last));
    button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && cursor.move(last));
    return button;
  });
  const root = element("div", { className: "strip", role: "toolbar", ariaLabel: about, lang });
  let word = null;
  groups.forEach(({ text }, place) => {
    const joined = place > 0 && !/^\s/.test(text); // to the previous piece, on the same line if it fits
    buttons[place].classList.toggle("joined", joined);
    if (!joined) root.append(" ", (word = element("span", { className: "whole" })));
    word.append(buttons[place]);
  });
  root.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    buttons[to]?.focus();
  });
  cursor.watch((at) =>
    groups.forEach(({ first, last }, place) => {
      const looked = at !== null && first <= at && at <= last;
      buttons[place].setAttribute("aria-pressed", String(looked));
      if (at !== null) buttons[place].tabIndex = looked ? 0 : -1;
    }),
  );
  return root;
}

/** The groups of pieces that share a button: `{ first, last, text }`. */
function groupsOf(pieces) {
  const groups = [];
  let first = 0;
  pieces.forEach(({ text }, last) => {
    if (text === null) return;
    groups.push({ first, last, text });
    first = last + 1;
  });
  if (groups.length && first < pieces.length) groups.at(-1).last = pieces.length - 1;
  return groups;
}

/**
 * The shown text of each of `tokens`. A grapheme belongs to the last token with a part of it, because only then has the
 * network read it; its other tokens show null. Space outside of all tokens belongs to the next token.
 */
export function piecesOf(text, tokens) {
  const pieces = tokens.map(({ start, end }) => (start === end ? "" : null));
  let at = 0;
  let end = 0; // tokens count Unicode code points
  for (const { segment } of CHARACTERS.segment(text)) {
    const start = end;
    end += [...segment].length;
    while (tokens[at + 1]?.start < end) at += 1;
    const owner = tokens[at]?.end > start ? at : segment.trim() ? null : at + 1;
    if (owner in pieces) pieces[owner] = (pieces[owner] ?? "") + segment;
  }
  return pieces;
}

/** The names of tokens: their `pieces` of the text without spaces, or their spelling. */
export function wordsOf(pieces, tokens) {
  return pieces.map((piece, at) => piece?.trim() || wordOf(tokens[at].text));
}

/** The name of a token, from its spelling. */
export function wordOf(token) {
  return token.trim() || SPACE;
}
