// How networks wrote an answer: the encoder that read the source and the decoder, each with its tokens and its memory.

import { choice, element } from "./dom.js";
import { drawMemory } from "./memory.js";
import { Cursor } from "./plots/cursor.js";
import { strip, wordOf } from "./plots/strip.js";
import { say } from "./words.js";

/**
 * The memory of the networks in `runs`. `named` says by which of their tokens the steps of a decoder are named: those that it
 * "reads" or "writes". `memory` is that of `drawMemory`; `cursor` is shared with the words that the decoder writes.
 */
export function drawRuns(runs, { named, memory, cursor, lang }) {
  const place = element("div", { className: "run-steps" });
  const names = runs.map(nameOf);
  const show = (at) => {
    const own = runs[at].part === "decoder" ? { named, cursor, lang } : { named: "reads" };
    place.replaceChildren(...drawRun(runs[at], { ...own, memory, isAlone: cursor === undefined || runs[at].part !== "decoder" }));
  };
  const choose = (at) => {
    memory.view.network = runs[at].part;
    show(at);
  };
  const first = Math.max(0, runs.findIndex(({ part }) => part === memory.view.network));
  show(first);
  const choices = runs.length > 1 ? [element("div", { className: "choices" }, choice(say("networkShown"), names.map((name, at) => [at, name]), first, choose))] : [];
  return [element("div", { className: "runs" }, ...choices, place)];
}

function nameOf({ part, sentence }) {
  const name = say(`run_${part}`);
  return sentence === undefined ? name : say("runOfSentence", { run: name, sentence: sentence + 1 });
}

/** A run; unless it follows the words of the answer it has a row of its tokens. */
function drawRun({ reads, writes, activations }, { named, cursor, lang, memory, isAlone }) {
  const count = activations.directions[0].hidden.length;
  const read = reads?.map(tokenWords) ?? Array.from({ length: count }, (_, at) => String(at + 1));
  const written = writes?.map((token) => (token === null ? null : tokenWords(token)));
  const words = named === "writes" && written ? written : read;
  const tokens = (named === "writes" ? writes : reads) ?? words;
  const step = (at) => (written?.[at] ? say("stepWrites", { token: read[at], written: written[at] }) : say("stepReads", { token: read[at] }));
  const walked = cursor ?? new Cursor(count);
  const pieces = tokens.map((token, at) => ({ text: shownText(token, words[at]), name: step(at) }));
  const own = isAlone ? [strip({ about: say("stepTokens"), pieces, cursor: walked, lang })] : [];
  return [...own, drawMemory(activations, words, walked, { memory, step })];
}

/** A token with the space before its word. */
function shownText(token, words) {
  return token === null || /^ |^<[a-z]+>$/.test(token) ? ` ${words}` : words;
}

function tokenWords(token) {
  if (token === null) return say("theImage");
  return token === "<eos>" ? say("theEnd") : token === "<bos>" ? say("theStart") : wordOf(token);
}
