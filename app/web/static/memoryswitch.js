// The switch that asks for the memory of a network, and the choices of what it shows.

import { fieldOf } from "./fields.js";

const UNITS = 64; // of a layer: more rows would be thinner than a pixel
const FEW_UNITS = 20; // of each of many answers

/** The choices of a memory: `view`, kept from one answer to the next, and the `fields` that a link carries of it. */
export function memoryView() {
  const view = { network: "decoder", part: "hidden", order: "last", units: "few", direction: "forward" };
  const fields = Object.keys(view).map((name) => [name, { get: () => view[name], set: (value) => (view[name] = value) }]);
  return { view, fields: Object.fromEntries(fields) };
}

/** Wire the switch `box`; `again()` asks anew when it, or the layer, has changed. */
export function memorySwitch(box, again) {
  let layer = null; // null: the usual one
  const { view, fields } = memoryView();
  box.addEventListener("change", again);

  function choose(chosen) {
    layer = chosen;
    again();
  }

  /** What `ask()` returns; without the chosen layer if the model has fewer. */
  async function asked(ask) {
    try {
      return await ask();
    } catch (problem) {
      if (layer === null || !problem.options?.includes("layer")) throw problem;
      layer = null;
      return ask();
    }
  }

  return {
    /** What a link carries: the switch, the chosen layer, and the view. */
    fields: { ...fields, memory: fieldOf(box), layer: { get: () => String(layer ?? ""), set: (value) => (layer = /^\d+$/.test(value) ? Number(value) : null) } },
    isOn: () => box.checked,
    /** The options of a request for `count` inputs; `usual` is the layer without a choice. */
    options: (count = 1, usual = null) => {
      const shown = layer ?? usual;
      return box.checked ? { explain: true, units: count > 1 ? FEW_UNITS : UNITS, ...(shown !== null && { layer: shown }) } : {};
    },
    view,
    choose,
    asked,
  };
}
