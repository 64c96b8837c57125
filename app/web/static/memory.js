// The activations of a recurrent layer at each token: the cell whose gates fill, and hidden state, cell and gates as a heat map.

import { choice, disclosure, element, table } from "./dom.js";
import { cellDiagram } from "./plots/cell.js";
import { heatmap } from "./plots/heatmap.js";
import { player } from "./plots/player.js";
import { drawScale, reachOf } from "./plots/scale.js";
import { number, percent, say } from "./words.js";

const GATES = new Set(["input", "forget", "output", "reset", "update"]); // from 0 to 1, after a sigmoid
const FEW_UNITS = 20; // so few that each is a row to be seen
const STEP_MILLISECONDS = 500;

/**
 * The view of `activations` for a text whose tokens are `words`; `cursor` is shared with the text. `memory` has the `view` (see
 * `memoryView`) and `choose(layer)`, which asks for another layer; `step(at)` says what the network does at a token. The
 * colours have the scale of all `beside`.
 */
export function drawMemory(activations, words, cursor, { memory, step = (at) => say("stepReads", { token: words[at] }), beside = [activations] }) {
  const { layer, layers, network, directions } = activations;
  const { view } = memory;
  const [place, diagram] = [element("div"), element("figure", { className: "cell" })];
  const show = (changes) => {
    Object.assign(view, changes);
    const one = direction();
    const parts = partsOf(one);
    const part = partIn(parts);
    const reach = GATES.has(part) ? 1 : reachOf(beside.flatMap((other) => partsOf(whole(other))[part] ?? []));
    place.replaceChildren(...drawPart(part, parts[part], reach, one.units, orderOf(view), words, cursor));
    drawCell(diagram, parts, step, words, cursor);
  };
  const whole = ({ directions: all }) => all.find((one) => one.direction === view.direction) ?? all[0];
  const direction = () => fewer(whole(activations), view);
  const partIn = (parts) => (Object.hasOwn(parts, view.part) ? view.part : "hidden");
  const parts = partsOf(direction());
  const choices = [choice(say("part"), Object.keys(parts).map((part) => [part, say(`part_${part}`)]), partIn(parts), (part) => show({ part }))];
  choices.push(choice(say("order"), [["last", say("orderLast")], ["number", say("orderNumber")]], orderOf(view), (order) => show({ order })));
  const most = directions[0].units.length;
  if (most > FEW_UNITS) {
    const counts = [["few", FEW_UNITS], ["all", most]].map(([name, units]) => [name, say("unitsMost", { units })]);
    choices.push(choice(say("unitCount"), counts, areFew(view) ? "few" : "all", (units) => show({ units })));
  }
  if (directions.length > 1) {
    const names = directions.map((one) => [one.direction, say(`direction_${one.direction}`)]);
    choices.push(choice(say("direction"), names, direction().direction, (name) => show({ direction: name })));
  }
  if (layers > 1) {
    const numbers = Array.from({ length: layers }, (_, at) => [at, say("layerNumber", { layer: at + 1, layers })]);
    choices.unshift(choice(say("layer"), numbers, layer, (value) => memory.choose(Number(value))));
  }
  show();
  return element(
    "div",
    { className: "memory" },
    element("h4", { textContent: say("memoryTitle", { network }) }),
    element("p", { className: "hint", textContent: ["aboutUnits", ...(Object.keys(parts).some((part) => GATES.has(part)) ? ["aboutGates"] : []), "aboutBoxes"].map((key) => say(key)).join(" ") }),
    diagram,
    element("div", { className: "choices" }, player(cursor, place, STEP_MILLISECONDS), ...choices),
    place,
  );
}

function areFew({ units }) {
  return units !== "all";
}

function orderOf({ order }) {
  return order === "number" ? "number" : "last";
}

/** The units that change most: the service sends them in this order. */
function fewer({ units, hidden, cell, gates, ...others }, view) {
  const count = areFew(view) ? FEW_UNITS : units.length;
  const cut = (rows) => rows.map((row) => row.slice(0, count));
  const cutGates = Object.fromEntries(Object.entries(gates).map(([name, rows]) => [name, cut(rows)]));
  return { ...others, units: units.slice(0, count), hidden: cut(hidden), ...(cell && { cell: cut(cell) }), gates: cutGates };
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

/** `reach` is the value of the strongest colour, `numbers` are those of the columns' units. */
function drawPart(part, rows, reach, numbers, order, words, cursor) {
  const units = unitsOf(rows, numbers, order);
  const values = units.map((unit) => rows.map((row) => row[unit]));
  const amount = GATES.has(part);
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
function unitsOf(rows, numbers, order) {
  const units = rows[0].map((_, unit) => unit);
  const last = rows.at(-1);
  const before = order === "last" ? (one, other) => last[other] - last[one] : (one, other) => numbers[one] - numbers[other];
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
