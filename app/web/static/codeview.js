// The request of a form as code that can be copied, and a link to the form.

import { codeOf, CODES } from "./code.js";
import { element } from "./dom.js";
import { say } from "./words.js";

const NAMES = { curl: "curl", python: "Python", javascript: "JavaScript" };
const COPIED_MILLISECONDS = 1500;
const shown = []; // all views: the kind that is chosen in one is that of all
let chosen = CODES[0];

/** Fill `place`; `link()` is the address of a link, or null without one. Returns `show(steps)`. */
export function codeView(place, link) {
  const parts = document.getElementById("code-template").content.cloneNode(true);
  const [code, pre] = ["code", "pre"].map((name) => parts.querySelector(name));
  const choice = parts.querySelector("select");
  const [copy, share] = [parts.querySelector(".copy"), parts.querySelector(".share-link")];
  let steps = [];
  choice.append(...CODES.map((kind) => element("option", { value: kind, textContent: NAMES[kind] })));
  const draw = () => {
    choice.value = chosen;
    code.textContent = codeOf(chosen, steps);
  };
  shown.push(draw);
  choice.addEventListener("change", () => {
    chosen = choice.value;
    for (const one of shown) one();
  });
  copy.addEventListener("click", () => copied(copy, code.textContent, "copy"));
  share.hidden = link === null;
  share.addEventListener("click", () => copied(share, link(), "copyLink"));
  pre.dataset.sayLabel = "code";
  place.append(parts);
  return (next) => {
    steps = next;
    draw();
  };
}

/** Copy a text and say so on the button, whose usual text is that of `key`. */
async function copied(button, text, key) {
  await copyText(text);
  button.textContent = say("copied");
  setTimeout(() => (button.textContent = say(key)), COPIED_MILLISECONDS);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // without https the clipboard API is missing on other hosts; the older way copies a selection
    const area = element("textarea", { value: text, className: "unseen" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
