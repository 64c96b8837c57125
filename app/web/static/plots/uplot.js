// The library that draws lines, loaded when it is first needed: it is half of all code.

const UPLOT = "assets/web/vendor/uplot/uPlot.esm.js";
let loading = null;

/** A promise of the class uPlot. */
export function uplot() {
  loading ??= import(new URL(UPLOT, document.baseURI)).then((module) => module.default);
  return loading;
}
