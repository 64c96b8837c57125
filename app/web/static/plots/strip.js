// The tokens of a text as buttons in a row, one of which is looked at.

import { element } from "../dom.js";

const SPACE = "␣";

/**
 * A row of `pieces`: `{ text, name, tone }`, where `text` is shown with its spaces, `name` is read aloud, and `tone`
 * from -1 to 1 colours it. One button is in the order of tabs; arrow keys, Home and End move on. `cursor` is shared.
 */
export function strip({ about, pieces, cursor, lang = "" }) {
  const buttons = pieces.map(({ text, name, tone }, at) => {
    const button = element("button", { type: "button", className: "token", textContent: text.trim() || SPACE, ariaLabel: name });
    button.tabIndex = at ? -1 : 0;
    if (tone !== undefined) {
      button.classList.add(tone < 0 ? "negative" : "positive");
      button.style.setProperty("--much", `${Math.round(Math.abs(tone) * 55)}%`);
    }
    button.addEventListener("click", () => cursor.move(at));
    button.addEventListener("focus", () => cursor.move(at));
    button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && cursor.move(at));
    return button;
  });
  const root = element("div", { className: "strip", role: "toolbar", ariaLabel: about, lang });
  pieces.forEach(({ text }, at) => {
    const joined = at > 0 && !/^\s/.test(text); // to the word before it
    buttons[at].classList.toggle("joined", joined);
    root.append(joined ? "" : " ", buttons[at]);
  });
  root.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    buttons[to]?.focus();
  });
  cursor.watch((at) =>
    buttons.forEach((button, place) => {
      button.setAttribute("aria-pressed", String(place === at));
      if (at !== null) button.tabIndex = place === at ? 0 : -1;
    }),
  );
  return root;
}

/** What a text shows of each of its `tokens`: the characters that no token before it has shown. */
export function piecesOf(text, tokens) {
  const characters = [...text]; // tokens count Unicode code points
  let shown = 0;
  return tokens.map(({ start, end }) => {
    const piece = characters.slice(Math.max(start, shown), end).join("");
    shown = Math.max(shown, end);
    return piece;
  });
}

/** What tokens are called: their `pieces` of the text without spaces, or the token's own spelling. */
export function wordsOf(pieces, tokens) {
  return pieces.map((piece, at) => piece.trim() || wordOf(tokens[at].text));
}

/** What one token is called by its spelling. */
export function wordOf(token) {
  return token.trim() || SPACE;
}
