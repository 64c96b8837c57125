// The dialog for the key.

import { say } from "./words.js";

/** Returns the entered key, or "". `refused`: the service rejected the previous key. */
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

/** Let the cancel button close the dialog, as Escape does. */
export function wireKeyDialog() {
  document.getElementById("key-cancel").addEventListener("click", () => document.getElementById("key").close());
}
