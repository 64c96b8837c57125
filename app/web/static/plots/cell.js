// A recurrent cell as a diagram: its gates fill with their mean over the shown units while one walks along the text.

import { svg } from "../dom.js";
import { number, say } from "../words.js";

const [WIDE, TALL] = [76, 44]; // of a box
const TOP = 70; // of the boxes

/**
 * Of each kind of cell: its boxes, their places and what they feed, and the lines around them. The state runs along the top,
 * the token and the hidden state before it come in along the bottom.
 */
const KINDS = {
  lstm: {
    boxes: { forget: 60, input: 160, candidate: 260, output: 360 },
    lines: "M10 24H470M98 70V34M198 70V48H288M298 70V34M398 70V58H450M450 24V114H470",
    dots: [[98, 24, "×"], [298, 24, "+"], [298, 48, "×"], [450, 58, "×"]],
    state: "cell",
  },
  gru: {
    boxes: { reset: 60, update: 190, candidate: 320 },
    lines: "M10 24H470M98 70V52H340V70M228 70V34M366 70V34",
    dots: [[228, 24, "×"], [366, 24, "+"]],
    state: "hidden",
  },
  plain: { boxes: { hidden: 200 }, lines: "M10 24H470M238 70V24", dots: [], state: "hidden" },
};

/** The diagram of a cell whose `parts` are rows of numbers, one for each of the units, by token. `step(at)` says what it does at a token, `show(at)` shows one. */
export function cellDiagram(parts, step, words) {
  const kind = "forget" in parts ? KINDS.lstm : "update" in parts ? KINDS.gru : KINDS.plain;
  const boxes = Object.entries(kind.boxes).map(([part, left]) => box(part, left));
  const token = svg("text", { x: 14, y: 146, class: "token-name" });
  const root = svg(
    "svg",
    { viewBox: "0 0 480 156", class: "cell-diagram", role: "img" },
    svg("path", { d: `${kind.lines}M10 128H${Math.max(...Object.values(kind.boxes)) + WIDE / 2}${boxes.map(({ middle }) => `M${middle} 128V${TOP + TALL}`).join("")}` }),
    svg("text", { x: 14, y: 16 }, say(`part_${kind.state}`)),
    ...boxes.map((one) => one.root),
    ...kind.dots.flatMap(([cx, cy, sign]) => [svg("circle", { cx, cy, r: 10 }), svg("text", { x: cx, y: cy + 5, class: "sign" }, sign)]),
    token,
  );
  function show(at) {
    const means = boxes.map(({ part, fill }) => fill(at === null ? null : mean(parts[part][at])));
    const told = at === null ? say("cellRests") : boxes.map(({ part }, place) => `${say(`part_${part}`)} ${number(means[place])}`).join(", ");
    root.setAttribute("aria-label", at === null ? told : say("cellAt", { token: words[at], gates: told }));
    token.textContent = at === null ? "" : step(at);
  }
  show(null);
  return { root, show };
}

/** A box of `part`: `fill(share)` fills it from below, and shows the number. */
function box(part, left) {
  const filled = svg("rect", { x: left, width: WIDE, y: TOP + TALL, height: 0, class: "filled" });
  const value = svg("text", { x: left + WIDE / 2, y: TOP + 36, class: "value" });
  const root = svg(
    "g",
    {},
    svg("rect", { x: left, y: TOP, width: WIDE, height: TALL, rx: 5, class: "box" }),
    filled,
    svg("text", { x: left + WIDE / 2, y: TOP + 17, class: "part" }, say(`short_${part}`)),
    value,
  );
  return {
    part,
    root,
    middle: left + WIDE / 2,
    fill(share) {
      const height = TALL * Math.min(1, share ?? 0);
      filled.setAttribute("height", height);
      filled.setAttribute("y", TOP + TALL - height);
      value.textContent = share === null ? "" : number(share);
      return share;
    },
  };
}

/** The mean size of numbers: of gates they are from 0 to 1. */
function mean(row) {
  return row.reduce((sum, value) => sum + Math.abs(value), 0) / row.length;
}
