// The colours of plots, from the light or dark scheme of the page.

/** The colour `name` of the style sheet, as [red, green, blue]. */
export function colour(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** A colour in CSS notation. */
export function css([red, green, blue], alpha = 1) {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

const BEND = 0.65; // exponent that makes small values visible; the scale of a plot uses it, too

/** A function from a value to its colour: from 0 to 1, or from negative to positive. */
export function scale(kind, reach) {
  const [ground, positive, negative, accent] = ["plot", "positive", "negative", "accent"].map(colour);
  return (value) => {
    const share = Math.min(1, Math.abs(value) / reach) ** BEND;
    return mix(ground, kind === "amount" ? accent : value < 0 ? negative : positive, share);
  };
}

/** The colours of `scale` from lowest to highest, as a CSS background. */
export function ramp(kind, reach) {
  const paint = scale(kind, reach);
  const stops = Array.from({ length: 17 }, (_, at) => (kind === "amount" ? at / 16 : at / 8 - 1) * reach);
  return `linear-gradient(to right, ${stops.map((value) => css(paint(value))).join(", ")})`;
}

function mix(from, to, share) {
  return from.map((part, index) => Math.round(part + (to[index] - part) * share));
}
