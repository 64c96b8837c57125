// Round numbers on the scale of a plot.

/** A round number near `step`: 1, 2 or 5 times a power of ten. */
export function roundStep(step) {
  const power = 10 ** Math.floor(Math.log10(step || 1));
  return power * ([1, 2, 5].find((times) => times * power >= step) ?? 10);
}

/** About `count` round numbers from `low` to `high`: `{ value, text }`. */
export function ticks(low, high, count) {
  const step = roundStep((high - low) / count);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const first = Math.ceil(low / step);
  const places = Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, at) => (first + at) * step);
  const short = new Intl.NumberFormat("en", { notation: "compact" });
  return places.map((value) => ({ value, text: Math.abs(value) >= 1e4 ? short.format(value) : value.toFixed(Math.min(digits, 6)).replace("-", "−") }));
}
