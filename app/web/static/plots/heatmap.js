// A matrix as colours on a canvas: hidden states and gates over time, and the attention of a translation.

import { element } from "../dom.js";
import { colour, css, scale } from "./colours.js";
import { font, GUTTER, labelling, MARGIN, shortened, whenSized } from "./frame.js";

const LETTER = 18; // minimum height of a labelled row

/**
 * `values` are rows of numbers, `columns` the column labels, and `rows` the optional row labels. `kind` is
 * "amount" (from 0) or "sign" (around 0); `reach` is the value with full colour. `describe(row, column)` returns the
 * text of the current cell, chosen by the mouse or the arrow keys. `cursor` shares the column with other views.
 * `renewed(show)` gets a function that shows other values.
 */
export function heatmap({ about, role, columns, rows, values, kind, reach, describe, cursor, height = 220, renewed }) {
  const canvas = element("canvas", { tabIndex: 0, role: "application", ariaLabel: about, ariaRoleDescription: role });
  const readout = element("p", { className: "readout", role: "status" });
  const root = element("div", { className: "plot heatmap" }, readout, canvas);
  const inner = rows ? Math.min(rows.length * 26, Math.max(rows.length * LETTER, height)) : height;
  const looked = { row: null, column: null };
  let frame = null;
  let painted = null; // painted once: only the frame of the current cell changes

  function redraw() {
    if (!frame) return;
    painted ??= pixels(values, scale(kind, reach));
    draw(canvas, frame, { painted, rows, looked });
  }

  function look(row, column) {
    Object.assign(looked, { row, column });
    const text = row === null || column === null ? "" : describe(row, column);
    if (readout.textContent !== text) readout.textContent = text;
    cursor?.move(column);
    redraw();
  }

  whenSized(root, (width) => {
    const left = rows ? Math.min(width * 0.34, widest(rows) + 12) : GUTTER;
    const labels = labelling(columns, (width - left - MARGIN) / columns.length);
    frame = { width, left, inner, labels, cell: [(width - left - MARGIN) / columns.length, inner / values.length] };
    redraw();
  });
  renewed?.((next) => {
    values = next;
    painted = null;
    look(looked.row, looked.column);
  });
  cursor?.watch((column) => {
    if (column === looked.column) return;
    look(column === null ? null : looked.row, column);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [across, down] = frame.cell;
    const column = Math.floor((event.offsetX - frame.left) / across);
    const row = Math.floor(event.offsetY / down);
    if (values[row]?.[column] !== undefined) look(row, column);
  });
  canvas.addEventListener("pointerleave", () => look(null, null));
  canvas.addEventListener("keydown", (event) => {
    const last = [values.length - 1, columns.length - 1];
    const at = [looked.row ?? 0, looked.column ?? 0];
    const fresh = looked.row === null || looked.column === null;
    const step = event.shiftKey ? 10 : 1;
    const moves = {
      ArrowUp: [at[0] - step, at[1]],
      ArrowDown: [at[0] + step, at[1]],
      ArrowLeft: [at[0], at[1] - step],
      ArrowRight: [at[0], at[1] + step],
      Home: [at[0], 0],
      End: [at[0], last[1]],
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    look(...(fresh ? at : moves[event.key].map((place, axis) => Math.max(0, Math.min(last[axis], place)))));
  });
  return root;
}

function widest(rows) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = font();
  return Math.max(...rows.map((row) => context.measureText(shortened(row)).width));
}

function draw(canvas, { width, left, inner, labels, cell: [across, down] }, { painted, rows, looked }) {
  const height = inner + labels.height;
  const context = sized(canvas, width, height);
  context.imageSmoothingEnabled = inner * devicePixelRatio < painted.height; // blur rather than drop pixels
  context.drawImage(painted, left, 0, width - left - MARGIN, inner);
  context.strokeStyle = css(colour("line"));
  context.strokeRect(left - 0.5, 0.5, width - left - MARGIN + 1, inner - 1);
  context.fillStyle = css(colour("soft"));
  context.font = font();
  context.textBaseline = "middle";
  context.textAlign = "right";
  rows?.forEach((row, at) => context.fillText(shortened(row), left - 7, (at + 0.5) * down, left - 8));
  labels.texts.forEach((text, at) => {
    if (at % labels.every) return;
    context.save();
    context.translate(left + (at + 0.5) * across, inner + 10);
    if (labels.turned) context.rotate(-Math.PI / 4);
    context.textAlign = labels.turned ? "right" : "center";
    context.fillText(text, 0, labels.turned ? 0 : 2);
    context.restore();
  });
  outline(context, looked, { left, across, down, inner });
}

/** A frame around the current column and the current cell. */
function outline(context, { row, column }, { left, across, down, inner }) {
  if (column === null) return;
  context.strokeStyle = css(colour("ink"));
  context.lineWidth = 1.5;
  context.strokeRect(left + column * across, 0.75, across, inner - 1.5);
  if (row === null) return;
  const tall = Math.max(down, 4);
  context.lineWidth = 2.5;
  context.strokeRect(left + column * across, Math.min(inner - tall, row * down), across, tall);
}

function sized(canvas, width, height) {
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

/** A canvas with one pixel for each number. */
function pixels(values, paint) {
  const made = element("canvas", { width: values[0].length, height: values.length });
  const context = made.getContext("2d");
  const image = context.createImageData(made.width, made.height);
  values.flat().forEach((value, at) => image.data.set([...paint(value), 255], at * 4));
  context.putImageData(image, 0, 0);
  return made;
}
