// A picture on a canvas, darkened where a model does not look.

import { element } from "../dom.js";

const FINE = 8; // points across each cell of the grid
const SOFTNESS = 0.55; // standard deviation of the smoothing, in cells
const DARKEST = 0.82;

/** Draw `picture` on `canvas`, darkened where `weights`, a grid over it, are low; null darkens nothing. */
export function drawLook(canvas, picture, weights) {
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  if (!weights) return;
  context.imageSmoothingQuality = "high";
  context.drawImage(shade(weights), 0, 0, canvas.width, canvas.height);
}

/** The smoothed grid with `FINE` by `FINE` points per cell, scaled from 0 (lowest weight) to 1 (highest). */
export function smooth(weights) {
  const across = spread(weights.map((row) => [...row]));
  const both = turn(spread(turn(across)));
  const [least, most] = [Math.min(...both.flat()), Math.max(...both.flat())];
  return both.map((row) => row.map((value) => (value - least) / (most - least || 1)));
}

function spread(rows) {
  return rows.map((row) => {
    const places = Array.from({ length: row.length * FINE }, (_, at) => (at + 0.5) / FINE - 0.5);
    return places.map((place) => {
      const bells = row.map((_, at) => Math.exp(-((place - at) ** 2) / (2 * SOFTNESS ** 2)));
      return bells.reduce((sum, bell, at) => sum + bell * row[at], 0) / bells.reduce((sum, bell) => sum + bell, 0);
    });
  });
}

function turn(rows) {
  return rows[0].map((_, at) => rows.map((row) => row[at]));
}

function shade(weights) {
  const fine = smooth(weights);
  const made = element("canvas", { width: fine[0].length, height: fine.length });
  const context = made.getContext("2d");
  const image = context.createImageData(made.width, made.height);
  fine.flat().forEach((value, at) => (image.data[at * 4 + 3] = Math.round(255 * DARKEST * (1 - value))));
  context.putImageData(image, 0, 0);
  return made;
}
