// Lines over the tokens of a text, drawn by uPlot.

import { element, svg } from "../dom.js";
import { colour, css } from "./colours.js";
import { font, GUTTER, labelling, MARGIN, whenSized } from "./frame.js";
import { uplot } from "./uplot.js";

const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]]; // lines differ without colour, too
const LINE_COLOURS = ["accent", "negative", "third", "soft"];

const FEW = 80; // up to this number of words, each has a dot on the line

/**
 * A plot of probabilities over `labels`, its columns: `series` are `{ values }`, each a line with its own colour and
 * dashes. A single line is coloured above and below 1/2. The mouse moves `cursor`, and `cursor` moves the mark.
 */
export function linePlot({ about, labels, series, cursor, height = 190 }) {
  const root = element("div", { className: "plot line", role: "img", ariaLabel: about });
  let plot = null;
  whenSized(
    root,
    async (width) => {
      root.style.minHeight = `${height}px`;
      const uPlot = await uplot();
      plot?.destroy();
      plot = new uPlot(options(labels, series, cursor, width, height), [labels.map((_, at) => at), ...series.map((one) => one.values)], root);
      mark(plot, cursor.at);
    },
    () => plot?.destroy(),
  );
  cursor.watch((at) => plot && mark(plot, at));
  return root;
}

/** A sample of line number `which`, for a legend. */
export function lineSample(which) {
  const dashes = DASHES[which % DASHES.length].join(" ");
  const line = svg("line", { x1: 0, y1: 5, x2: 34, y2: 5, "stroke-dasharray": dashes });
  return svg("svg", { class: `sample ${LINE_COLOURS[which % LINE_COLOURS.length]}`, "aria-hidden": "true" }, line);
}

function mark(plot, at) {
  const left = at === null ? -10 : plot.valToPos(at, "x");
  plot.setCursor({ left, top: at === null ? -10 : 1 }, false);
}

function options(labels, series, cursor, width, height) {
  const { texts, every, turned, height: below } = labelling(labels, (width - GUTTER - MARGIN) / labels.length);
  const ink = css(colour("soft"));
  const grid = { stroke: css(colour("line")), width: 1 };
  return {
    width,
    height: height + below,
    padding: [8, MARGIN, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
    scales: { x: { time: false, range: [-0.5, labels.length - 0.5] }, y: { range: [0, 1] } },
    axes: [
      {
        stroke: ink,
        font: font(),
        grid: { show: false },
        ticks: { show: false },
        gap: 4,
        size: below,
        rotate: turned ? 45 : 0,
        splits: () => texts.map((_, at) => at).filter((at) => at % every === 0),
        values: (_, splits) => splits.map((at) => texts[at]),
      },
      {
        stroke: ink,
        font: font(),
        size: GUTTER,
        grid,
        ticks: { show: false },
        gap: 6,
        splits: () => [0, 0.25, 0.5, 0.75, 1],
        values: (_, splits) => splits.map((value) => (value % 0.5 ? "" : `${value * 100}%`)),
      },
    ],
    series: [{}, ...series.map((_, at) => (series.length === 1 ? sided(labels.length <= FEW) : plain(at)))],
    hooks: { setCursor: [({ cursor: { idx, event } }) => event && cursor.move(idx ?? null)], drawAxes: [half] },
  };
}

function plain(at) {
  const stroke = css(colour(LINE_COLOURS[at % LINE_COLOURS.length]));
  return { stroke, width: 2.5, dash: DASHES[at % DASHES.length], points: { show: false } };
}

/** The colour of positive above 1/2, that of negative below. */
function sided(dotted) {
  const paint = (alpha) => (plot) => {
    const [positive, negative] = ["positive", "negative"].map((name) => css(colour(name), alpha));
    const gradient = plot.ctx.createLinearGradient(0, plot.bbox.top, 0, plot.bbox.top + plot.bbox.height);
    for (const [stop, side] of [[0, positive], [0.5, positive], [0.5, negative], [1, negative]]) gradient.addColorStop(stop, side);
    return gradient;
  };
  return { stroke: paint(1), fill: paint(0.16), fillTo: 0.5, width: 2.5, points: { show: dotted, size: 6, fill: paint(1) } };
}

/** The line at 1/2: neutral. */
function half(plot) {
  const y = Math.round(plot.valToPos(0.5, "y", true)) + 0.5;
  plot.ctx.save();
  plot.ctx.strokeStyle = css(colour("edge"));
  plot.ctx.lineWidth = devicePixelRatio;
  plot.ctx.beginPath();
  plot.ctx.moveTo(plot.bbox.left, y);
  plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
  plot.ctx.stroke();
  plot.ctx.restore();
}
