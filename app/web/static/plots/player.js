// The button that moves a cursor by itself, to its end.

import { element } from "../dom.js";
import { say } from "../words.js";

/** A play and pause button: `cursor` moves every `milliseconds` while `seen` is on the page. */
export function player(cursor, seen, milliseconds) {
  const button = element("button", { type: "button", className: "button", textContent: say("play") });
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = say("play");
  };
  const step = () => {
    const next = cursor.at === null ? 0 : cursor.at + 1;
    if (next >= cursor.count || !seen.isConnected) return stop();
    cursor.move(next);
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (cursor.at === cursor.count - 1) cursor.move(null);
    button.textContent = say("pause");
    timer = setInterval(step, milliseconds);
    step();
  });
  return button;
}
