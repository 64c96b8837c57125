// The activations of a recurrent layer at each token: the cell whose gates fill, and hidden state, cell and gates as a heat map.

import { choice, disclosure, element, table } from "./dom.js";
import { cellDiagram } from "./plots/cell.js";
import { heatmap } from "./plots/heatmap.js";
import { player } from "./plots/player.js";
import { drawScale, reachOf } from "./plots/scale.js";
import { number, percent, say } from "./words.js";

const GATES = new Set(["input", "forget", "output", "reset", "update"]); // from 0 to 1, after a sigmoid
const FEW_UNITS = 20; // units that are shown at first: so few that each is a row to be seen
const STEP_MILLISECONDS = 500;
const chosen = { part: "hidden", order: "last", units: FEW_UNITS }; // kept from one answer to the next

/**
 * The view of `activations` for a text whose tokens are `words`; `cursor` is shared with the text. `relayer(layer)` asks for
 * another layer, and `step(at)` says what the network does at a token.
 */
export function drawMemory({ layer, layers, network, directions }, words, cursor, { relayer, step = (at) => say("stepReads", { token: words[at] }) } = {}) {
  const [place, diagram] = [element("div"), element("figure", { className: "cell" })];
  const show = (changes) => {
    Object.assign(chosen, changes);
    const parts = partsOf(direction());
    const part = parts[chosen.part] ? chosen.part : "hidden";
    place.replaceChildren(...drawPart(part, parts[part], direction().units, words, cursor));
    drawCell(diagram, parts, step, words, cursor);
  };
  const state = { direction: directions[0].direction };
  const direction = () => fewer(directions.find((one) => one.direction === state.direction));
  const parts = Object.keys(partsOf(directions[0]));
  const choices = [choice(say("part"), parts.map((part) => [part, say(`part_${part}`)]), parts.includes(chosen.part) ? chosen.part : "hidden", (part) => show({ part }))];
  choices.push(choice(say("order"), [["last", say("orderLast")], ["number", say("orderNumber")]], chosen.order, (order) => show({ order })));
  const most = directions[0].units.length;
  if (most > FEW_UNITS) {
    const counts = [FEW_UNITS, most].map((units) => [units, say("unitsMost", { units })]);
    choices.push(choice(say("unitCount"), counts, Math.min(chosen.units, most), (units) => show({ units: Number(units) })));
  }
  if (directions.length > 1) {
    const names = directions.map((one) => [one.direction, say(`direction_${one.direction}`)]);
    choices.push(choice(say("direction"), names, state.direction, (value) => show(void (state.direction = value))));
  }
  if (layers > 1 && relayer) {
    const numbers = Array.from({ length: layers }, (_, at) => [at, say("layerNumber", { layer: at + 1, layers })]);
    choices.unshift(choice(say("layer"), numbers, layer, (value) => relayer(Number(value))));
  }
  show();
  return element(
    "div",
    { className: "memory" },
    element("h4", { textContent: say("memoryTitle", { network }) }),
    element("p", { className: "hint", textContent: say("aboutUnits") }),
    diagram,
    element("div", { className: "choices" }, player(cursor, place, STEP_MILLISECONDS), ...choices),
    place,
  );
}

/** The units that change most: the service sends them in this order. */
function fewer({ units, hidden, cell, gates, ...others }) {
  const cut = (rows) => rows.map((row) => row.slice(0, chosen.units));
  const cutGates = Object.fromEntries(Object.entries(gates).map(([name, rows]) => [name, cut(rows)]));
  return { ...others, units: units.slice(0, chosen.units), hidden: cut(hidden), ...(cell && { cell: cut(cell) }), gates: cutGates };
}

/** Draw the cell in `place`, at the current token. */
function drawCell(place, parts, step, words, cursor) {
  const { root, show } = cellDiagram(parts, step, words);
  place.replaceChildren(root);
  cursor.watch((at) => root.isConnected && show(at));
  show(cursor.at);
}

function partsOf({ hidden, cell, gates }) {
  return { hidden, ...(cell && { cell }), ...gates };
}

/** `numbers` are those of the columns' units. */
function drawPart(part, rows, numbers, words, cursor) {
  const units = unitsOf(rows, numbers);
  const values = units.map((unit) => rows.map((row) => row[unit]));
  const amount = GATES.has(part);
  const reach = amount ? 1 : reachOf(rows);
  const name = say(`part_${part}`);
  const about = say("memoryAbout", { part: name, units: units.length, tokens: words.length });
  return [
    element("p", { className: "hint", textContent: `${say(`about_${part}`)} ${say("unitsThatChange", { units: units.length })}` }),
    heatmap({
      about: `${about} ${say("arrows")}`,
      role: say("heatmap"),
      columns: words,
      values,
      kind: amount ? "amount" : "sign",
      reach,
      cursor,
      height: Math.max(200, Math.min(420, units.length)),
      describe: (row, column) => say("unitAt", { part: name, unit: numbers[units[row]], token: words[column], value: number(values[row][column], { digits: 3 }) }),
    }),
    drawScale(amount, reach),
    disclosure(say("asSummary"), () => summary(about, rows, numbers, words, amount)),
  ];
}

/** The columns in the chosen order: by the number of their unit, or by their value at the end. */
function unitsOf(rows, numbers) {
  const units = rows[0].map((_, unit) => unit);
  const last = rows.at(-1);
  const before = chosen.order === "last" ? (one, other) => last[other] - last[one] : (one, other) => numbers[one] - numbers[other];
  return units.sort(before);
}

/** The heat map as a table with a row per token. */
function summary(about, rows, numbers, words, amount) {
  const head = ["token", "mean", "least", "most", ...(amount ? ["open", "closed"] : [])].map((key) => say(key));
  const share = (row, inside) => percent(row.filter(inside).length / row.length);
  const extreme = (row, value) => say("extreme", { value: number(value), unit: numbers[row.indexOf(value)] });
  const lines = rows.map((row, at) => [
    words[at],
    number(row.reduce((sum, value) => sum + value, 0) / row.length, { digits: 3 }),
    extreme(row, Math.min(...row)),
    extreme(row, Math.max(...row)),
    ...(amount ? [share(row, (value) => value > 0.9), share(row, (value) => value < 0.1)] : []),
  ]);
  return table(about, head, lines);
}
