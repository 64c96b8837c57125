// Shared by plots: an element with a watched width, column labels that fit, and the font.

export const GUTTER = 46; // left of a plot, for its scale; the same everywhere, so that columns align
export const MARGIN = 10; // right of it
const LONGEST = 12;

/** Call `draw(width)` whenever the width of `root` changes, and `end()` when it has left the page. */
export function whenSized(root, draw, end = () => {}) {
  let width = 0;
  let seen = false;
  const observer = new ResizeObserver(() => {
    if (seen && !root.isConnected) {
      observer.disconnect();
      end();
    } else if (root.clientWidth && root.clientWidth !== width) {
      seen = true;
      width = root.clientWidth;
      draw(width);
    }
  });
  observer.observe(root);
}

/** The font of labels, for a canvas. */
export function font() {
  return `12px ${getComputedStyle(document.body).fontFamily}`;
}

/** The layout of labels below columns of `slot` pixels: their length, their interval, upright or rotated. */
export function labelling(labels, slot) {
  const texts = labels.map((label) => shortened(label));
  const context = document.createElement("canvas").getContext("2d");
  context.font = font();
  const widths = texts.map((text) => context.measureText(text).width);
  const widest = Math.max(0, ...widths);
  const turned = widest > slot - 4;
  const every = Math.max(1, Math.ceil((turned ? 17 : widest + 4) / slot));
  const tallest = Math.max(0, ...widths.filter((_, at) => at % every === 0)) * 0.72;
  return { texts, every, turned, height: turned ? Math.ceil(tallest) + 14 : 22 };
}

export function shortened(text) {
  const characters = [...text];
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join("")}…` : text;
}
