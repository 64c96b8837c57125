// Requests that continue from a kept state, and the steps of their code, which keep it in a variable.

import { STATE } from "./code/parts.js";
import { post, textRequest } from "./requests.js";

const STALE = new Set(["invalid-state", "state-mismatch"]); // the service began anew, or has another secret or other weights

/** Whether a problem says that a state can no longer be used. */
export function isStale({ slug }) {
  return STALE.has(slug);
}

/**
 * The reading of `text`, of which `before` is a reading of its beginning, or null: `{ text, state, result, now, kept, all }`
 * with the numbers of steps that were read now, that the state had read, and that the new one has.
 */
export async function read(kind, model, text, before, signal) {
  const inputs = inputsOf(kind, model, text, before);
  const { results, usage } = await post(reading(kind, model, inputs, before?.state), signal);
  const [first] = results;
  const after = kind.after && (await post(answering(kind, first.state), signal));
  const fresh = kind.count(inputs, usage);
  const kept = usage.kept_steps ?? 0;
  const again = after ? after.usage.source_tokens : 0; // the last word, which the state keeps as text
  return { text, state: first.state, result: after ? after.results[0] : first, now: fresh + again, kept, all: kept + fresh };
}

/** The answers to `endings` of a reading, all from its state: `{ results, now, kept }`. */
export async function readEndings(kind, model, point, endings, signal) {
  const inputs = endings.map((ending) => endingInputs(kind, model, point, ending));
  const { results, usage } = await post(ending(kind, inputs, point.state), signal);
  return { results, now: kind.count(inputs, usage), kept: usage.kept_steps / endings.length };
}

/** The steps that answer as `read` does. */
export function readSteps(kind, model, text, before) {
  const known = before?.text === text ? null : before;
  const last = reading(kind, model, inputsOf(kind, model, text, known), known && STATE);
  return [...kept(kind, model, known), ...(kind.after ? [...keeping(last), ...answering(kind, STATE).steps] : last.steps)];
}

/** The steps that answer as `readEndings` does. */
export function endingSteps(kind, model, point, endings) {
  const inputs = endings.map((one) => endingInputs(kind, model, point, one));
  return [...kept(kind, model, point), ...ending(kind, inputs, STATE).steps];
}

function inputsOf(kind, model, text, before) {
  return kind.inputs(text, before?.text ?? "", model);
}

function endingInputs(kind, model, { text }, ending) {
  return kind.inputs(text + ending, text, model);
}

function reading(kind, { name }, inputs, state) {
  return textRequest(kind.path, inputs, { ...(state ? { state } : { model: name }), ...kind.options });
}

function answering({ after }, state) {
  return textRequest(after.path, "", { state, ...after.options });
}

function ending(kind, inputs, state) {
  return textRequest(kind.ending.path, inputs, { state, ...kind.ending.options });
}

/** The step that keeps the state of a reading, if there is one. */
function kept(kind, model, known) {
  return known ? keeping(reading(kind, model, inputsOf(kind, model, known.text, null))) : [];
}

function keeping({ steps }) {
  return steps.map((step) => ({ ...step, keeps: true }));
}
