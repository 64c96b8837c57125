// One column of a series as a line in SVG, which continues as its forecast. A point of its past can be dragged.

import { element, svg } from "../dom.js";
import { GUTTER, MARGIN, whenSized } from "./frame.js";
import { roundStep, ticks } from "./ticks.js";

const GRASP = 20; // pixels from a point at which it can be taken
const EDGE = 10; // above and below the lines
const ROOM = 0.15; // of the range, above and below: to drag a point beyond it

/**
 * A panel of `count` columns. `unit` is the smallest step of a number; `change(at, value)` gets the number to which a point is dragged, or moved with the arrow
 * keys; without it no point can be. Returns `{ root, show }`: `show(parts)` draws `values` (null is missing), `next`
 * (the forecast after them), `before` (a forecast to compare it with), `then` (`{ first, last, values }`: a window, and
 * the forecast after it) and `reach` (further numbers that the
 * scale has room for); it draws the current row of `cursor`.
 */
export function panel({ about, role, count, cursor, height, unit, change }) {
  const image = svg("svg", { tabindex: 0, role: "application", "aria-label": about, "aria-roledescription": role, height });
  const root = element("div", { className: "plot panel" }, image);
  const shown = { values: [], next: [], before: null, then: null, reach: [] };
  let frame = null;
  let range = [0, 1];
  let taken = null; // the point that is dragged: its column, and how far above the pointer's place in the window it was

  function redraw() {
    if (!frame) return;
    if (taken === null) range = rangeOf(shown);
    image.replaceChildren(...drawn(shown, { ...frame, range, height, count, at: cursor.at, change }));
  }

  function place(event) {
    const box = image.getBoundingClientRect();
    const at = Math.floor((event.clientX - box.left - GUTTER) / frame.slot);
    return { at: Math.max(0, Math.min(count - 1, at)), down: event.clientY - box.top };
  }

  const [toY, fromY] = [(value) => yOf(value, range, height), (down) => valueAt(down, range, height)];

  whenSized(root, (width) => {
    frame = { width, slot: (width - GUTTER - MARGIN) / count };
    image.setAttribute("width", width);
    redraw();
  });
  image.addEventListener("pointerdown", (event) => {
    const { at, down } = place(event);
    cursor.move(at);
    const value = shown.values[at] ?? null;
    if (!change || event.button || value === null || Math.abs(toY(value) - down) > GRASP) return;
    taken = { at, above: toY(value) - event.clientY }; // the chart itself may move meanwhile: the readout above it grows
    image.setPointerCapture(event.pointerId);
  });
  image.addEventListener("pointermove", (event) => {
    const { at } = place(event);
    if (taken === null) cursor.move(at);
    else change(taken.at, fromY(event.clientY + taken.above));
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    image.addEventListener(name, () => {
      if (taken === null) return;
      taken = null;
      redraw();
    });
  }
  image.addEventListener("pointerleave", () => taken === null && cursor.move(null));
  image.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = shown.values.length - 1;
    const at = cursor.at ?? last;
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    const signs = { ArrowUp: 1, ArrowDown: -1 };
    if (!(event.key in moves) && !(event.key in signs)) return;
    event.preventDefault();
    if (event.key in moves) return cursor.move(cursor.at === null ? at : moves[event.key]);
    cursor.move(at);
    const value = shown.values[at] ?? null;
    const step = Math.max(unit, roundStep((range[1] - range[0]) / (event.shiftKey ? 10 : 50)));
    if (change && value !== null) change(at, value + signs[event.key] * step);
  });
  return {
    root,
    show(parts) {
      Object.assign(shown, parts);
      redraw();
    },
  };
}

function rangeOf({ values, next, before, reach }) {
  const all = [...values, ...next, ...(before ?? []), ...reach].filter((value) => value !== null);
  const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
  const room = (high - low) * ROOM || Math.abs(high) * ROOM || 1;
  return [low - room, high + room];
}

function yOf(value, [low, high], height) {
  return EDGE + ((high - value) / (high - low)) * (height - 2 * EDGE);
}

function valueAt(down, [low, high], height) {
  return high - (Math.max(0, Math.min(1, (down - EDGE) / (height - 2 * EDGE)))) * (high - low);
}

function drawn({ values, next, before, then }, { width, slot, range, height, count, at, change }) {
  const x = (place) => GUTTER + (place + 0.5) * slot;
  const y = (value) => yOf(value, range, height);
  const rows = values.length;
  const last = values.at(-1) ?? null;
  const path = (points, name) => {
    const text = points.map(([place, value], index) => (value === null ? "" : `${index && points[index - 1][1] !== null ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`));
    return svg("path", { d: text.join(""), class: name });
  };
  const after = (from, start, forecast, name) => path([...(start === null ? [] : [[from, start]]), ...forecast.map((value, step) => [from + 1 + step, value])], name);
  const dots = (points, name) => points.filter(([, value]) => value !== null).map(([place, value]) => svg("circle", { cx: x(place).toFixed(1), cy: y(value).toFixed(1), r: Math.min(3.5, slot / 3 + 0.6), class: place === at ? `${name} at` : name }));
  const past = values.map((value, place) => [place, value]);
  const band = then ? [svg("rect", { x: GUTTER + then.first * slot, y: 0, width: (then.last - then.first + 1) * slot, height, class: "window" })] : [];
  const mark = at === null ? [] : [svg("line", { x1: x(at), x2: x(at), y1: 0, y2: height, class: "mark" })];
  return [
    svg("rect", { x: GUTTER, y: 0.5, width: Math.max(0, width - GUTTER - MARGIN), height: height - 1, class: "ground" }),
    svg("rect", { x: GUTTER + rows * slot, y: 0.5, width: Math.max(0, (count - rows) * slot), height: height - 1, class: "ahead" }),
    ...band,
    ...ticks(...range, height / 45).flatMap(({ value, text }) => [
      svg("line", { x1: GUTTER, x2: width - MARGIN, y1: y(value), y2: y(value), class: "grid" }),
      svg("text", { x: GUTTER - 6, y: y(value) + 4, class: "tick" }, text),
    ]),
    ...mark,
    ...(change ? [path(past, "grip")] : []),
    path(past, "past"),
    ...dots(past, "point"),
    ...(before ? [after(rows - 1, last, before, "before")] : []),
    after(rows - 1, last, next, "next"),
    ...dots(next.map((value, step) => [rows + step, value]), "point next"),
    ...(then && then.last < rows - 1 ? [after(then.last, values[then.last] ?? null, then.values, "then")] : []),
  ];
}
