// The colours of plots, which are those of the page in its light or dark scheme.

/** The colour that the style sheet calls `name`, as [red, green, blue]. */
export function colour(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** A colour as CSS has it. */
export function css([red, green, blue], alpha = 1) {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

const BEND = 0.65; // small values are lifted, so that faint things are seen; the scale below a plot is bent as well

/** A function from a value to its colour: from nothing to full, or from the one side of zero to the other. */
export function scale(kind, reach) {
  const [ground, positive, negative, accent] = ["plot", "positive", "negative", "accent"].map(colour);
  return (value) => {
    const share = Math.min(1, Math.abs(value) / reach) ** BEND;
    return mix(ground, kind === "amount" ? accent : value < 0 ? negative : positive, share);
  };
}

/** The colours of `scale` from the least to the most, as a background. */
export function ramp(kind, reach) {
  const paint = scale(kind, reach);
  const stops = Array.from({ length: 17 }, (_, at) => (kind === "amount" ? at / 16 : at / 8 - 1) * reach);
  return `linear-gradient(to right, ${stops.map((value) => css(paint(value))).join(", ")})`;
}

function mix(from, to, share) {
  return from.map((part, index) => Math.round(part + (to[index] - part) * share));
}
