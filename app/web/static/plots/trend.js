// A small line over the last minute, drawn by uPlot.

import { colour, css } from "./colours.js";
import { whenSized } from "./frame.js";
import { uplot } from "./uplot.js";

const HEIGHT = 56;

/** Draw a line in `root`. Returns a function that shows `points`: pairs of seconds (0 is now) and value. */
export function trend(root, seconds) {
  let plot = null;
  let data = [[], []];
  whenSized(root, async (width) => {
    const uPlot = await uplot();
    plot?.destroy();
    plot = new uPlot(options(width, seconds), data, root);
  });
  return (points) => {
    data = [points.map(([at]) => at), points.map(([, value]) => value)];
    plot?.setData(data);
  };
}

function options(width, seconds) {
  return {
    width,
    height: HEIGHT,
    padding: [4, 2, 2, 2],
    legend: { show: false },
    cursor: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false, range: [-seconds, 0] },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] },
    },
    series: [{}, { stroke: () => css(colour("accent")), fill: () => css(colour("accent"), 0.15), width: 2, points: { show: false } }],
  };
}
