// The metrics that the page shows. No other module knows their names.

import { getText } from "./requests.js";

const TASKS = /route="\/(v1|v2|hf)\//; // requests to the tasks, not those of monitoring
const NAMES = {
  requests: ["unroll_http_requests_total"],
  tokens: ["unroll_source_tokens_total", "unroll_emitted_tokens_total"],
  steps: ["unroll_engine_emit_steps_total"],
  rows: ["unroll_engine_emit_rows_total"],
  pending: ["unroll_pending_inputs"],
  ready: ["unroll_engines_ready"],
  engines: ["unroll_engines"],
  slots: ["unroll_engine_slots"],
  used: ["unroll_engine_slots_used"],
};

/** The current figures, each summed over its labels. */
export async function figures() {
  const lines = (await getText("metrics")).split("\n").map(parse).filter(Boolean);
  return Object.fromEntries(Object.entries(NAMES).map(([figure, names]) => [figure, sum(figure, names, lines)]));
}

function sum(figure, names, lines) {
  const counted = lines.filter(({ name, labels }) => names.includes(name) && (figure !== "requests" || TASKS.test(labels)));
  return counted.reduce((total, { value }) => total + value, 0);
}

/** A line of the text format: `name{labels} value`. */
function parse(line) {
  const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
  return name && { name, labels, value: Number(value) };
}

/** Rates per second between two sets of figures; 0 after a counter has restarted. */
export function rates(earlier, later, seconds) {
  const grown = (figure) => Math.max(0, later[figure] - earlier[figure]);
  const steps = grown("steps");
  return { requests: grown("requests") / seconds, tokens: grown("tokens") / seconds, rows: steps ? grown("rows") / steps : 0 };
}
