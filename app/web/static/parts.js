// Many inputs in several requests: each is answered soon, the answers so far are shown, and a stop ends the rest.

import { Problem } from "./requests.js";

/** Answers above which plots are folded. */
export const FEW = 20;

const SIZE = 32; // inputs of a request
const MOST_AT_ONCE = 256; // the default of the setting max_inputs
const tooLong = new Set(); // texts that the service has refused to explain

/**
 * The results of `sources`, asked in parts: `ask(part, show)` returns those of a part, and may `show` what it has of them.
 * `progress` gets the results so far. Throws Problem, with the `line` of a source that is refused.
 */
export async function inParts(sources, ask, progress) {
  const results = [];
  let size = SIZE;
  const parts = (more) => (sources.length > SIZE ? { done: results.length + more, of: sources.length } : undefined);
  const show = (some) => progress({ results: [...results, ...some], sources }, parts(some.filter(({ model }) => model !== undefined).length));
  while (results.length < sources.length) {
    const first = results.length;
    const part = sources.slice(first, first + size);
    try {
      results.push(...(await ask(part, show)));
    } catch (problem) {
      if (problem.slug === "too-many-inputs" && problem.limit < size) {
        size = problem.limit;
        continue;
      }
      if (problem instanceof Problem && problem.input !== undefined && sources.length > 1) problem.line = first + problem.input + 1;
      throw problem;
    }
    if (results.length < sources.length) show([]);
  }
  return { results, sources };
}

/** The code of a request for each of as many `inputs` as the service takes at once. */
export function stepsOf(make, inputs) {
  if (!Array.isArray(inputs)) return make(inputs).steps;
  const parts = [];
  for (let first = 0; first < inputs.length; first += MOST_AT_ONCE) parts.push(inputs.slice(first, first + MOST_AT_ONCE));
  return parts.flatMap((part) => make(part).steps);
}

/** Whether none of `texts`, an array or one of them, is known to be too long for an explanation. */
export function explainable(texts) {
  return ![texts].flat().some((text) => tooLong.has(text));
}

/**
 * The results of `texts`, with explanations of those that are short enough: `make(texts, explains)` is a request,
 * `asked` sends it. A result without an explanation has `unplotted`, the limit of its tokens if that is known.
 */
export async function explained(make, texts, asked) {
  try {
    return (await asked(make(texts, true))).results;
  } catch (problem) {
    if (problem.slug !== "input-too-long") throw problem;
    if (texts.length === 1) {
      tooLong.add(texts[0]);
      const { results } = await asked(make(texts, false));
      return results.map((result) => ({ ...result, unplotted: problem.limit ?? null }));
    }
    const at = problem.input;
    const cuts = at === undefined ? [0, texts.length >> 1, texts.length] : [0, at, at + 1, texts.length];
    const results = [];
    for (const [place, cut] of cuts.slice(1).entries()) {
      const some = texts.slice(cuts[place], cut);
      if (some.length) results.push(...(await shifted(cuts[place], () => explained(make, some, asked))));
    }
    return results;
  }
}

/** What `ask` returns; the `input` of a problem is counted from `first` inputs before. */
async function shifted(first, ask) {
  try {
    return await ask();
  } catch (problem) {
    if (problem.input !== undefined) problem.input += first;
    throw problem;
  }
}
