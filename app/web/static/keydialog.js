// The dialog in which a person enters a key.

import { say } from "./words.js";

/** The key that is entered, or "" when none is. `refused`: whether the one before was not known. */
export function askForKey({ refused }) {
  const dialog = document.getElementById("key");
  const entered = document.getElementById("key-entered");
  document.getElementById("key-refused").textContent = refused ? say("keyUnknown") : "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const ended = () => {
      resolve(dialog.returnValue ? entered.value.trim() : "");
      entered.value = "";
    };
    dialog.addEventListener("close", ended, { once: true });
  });
}

/** Let its button leave it, as Escape does. */
export function wireKeyDialog() {
  document.getElementById("key-cancel").addEventListener("click", () => document.getElementById("key").close());
}
