// Requests to this server, with the steps of their code, and their answers or problems.

import { bodyOf } from "./code/curl.js";
import { withOptions } from "./code/parts.js";
import { fetchWithKey } from "./key.js";

/** A failed request: slug, title and detail of application/problem+json. */
export class Problem extends Error {
  constructor(status, { type = "", title = `HTTP ${status}`, detail = "", options = [], errors = [], input, limit, row, column } = {}) {
    super(title);
    this.status = status; // 0: the server did not respond
    this.slug = type.split("/").at(-1); // docs/api/errors.md lists them
    this.title = title;
    this.detail = detail;
    this.options = options; // of contradictory-options
    this.input = input; // the place of the refused input
    this.limit = limit;
    this.row = row; // of a series, from 0
    this.column = column;
    this.wheres = errors.map(({ where }) => where); // of invalid-request
  }
}

/** A POST of `inputs`, one text or a list of texts, and `options` as JSON. */
export function textRequest(path, inputs, options = {}) {
  const body = bodyOf(inputs, options);
  const headers = { "Content-Type": "application/json" };
  return { path, headers, content: () => body, sources: [inputs].flat(), steps: [{ path, options, body: { inputs }, stream: options.stream }] };
}

/** A POST of `text`, a CSV, with `options` in the query string. */
export function csvRequest(path, text, options = {}) {
  const headers = { "Content-Type": "text/csv" };
  return { path: withOptions(path, options), headers, content: () => text, steps: [{ path, options, body: { csv: text } }] };
}

/** A POST of images: a file of this server as a raw body, any other `files` in the `field` of a form. */
export function pictureRequest(path, { files, shipped }, options = {}, field = "images") {
  if (shipped) {
    const type = "image/webp";
    const steps = [{ path, options, body: { shipped, type, field } }];
    return { path: withOptions(path, options), headers: { "Content-Type": type }, content: async () => (await fetch(shipped)).blob(), steps };
  }
  const form = new FormData();
  for (const file of files) form.append(field, file);
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  return { path, headers: {}, content: () => form, steps: [{ path, options, body: { files, field } }] };
}

/** The answer to a request. Throws Problem, or AbortError when `signal` aborts. */
export async function post(request, signal) {
  return (await sent(request, signal)).json();
}

/** The server-sent events of a streaming request: `{ event, data }`. Throws as `post` does. */
export async function* events(request, signal) {
  const response = await sent(request, signal);
  let pending = "";
  for await (const text of texts(response.body)) {
    pending += text;
    const blocks = pending.split("\n\n");
    pending = blocks.pop();
    for (const block of blocks) {
      const [, event] = /^event: (.*)$/m.exec(block) ?? [];
      if (!event) continue; // a keep-alive comment
      const data = JSON.parse(/^data: (.*)$/m.exec(block)[1]);
      if (event === "error") throw new Problem(data.status, data);
      yield { event, data };
    }
  }
}

/**
 * The answer to the request `make(details)` with as many of the `details`, names of options, as the model has and an answer
 * has room for; the last ones are left out first.
 */
export async function withDetails(details, make, asked) {
  try {
    return await asked(make(details));
  } catch (problem) {
    const refused = details.filter((detail) => problem.options?.includes(detail));
    if (!refused.length && problem.slug === "input-too-long") refused.push(...details.slice(-1));
    if (!refused.length) throw problem;
    return withDetails(details.filter((detail) => !refused.includes(detail)), make, asked);
  }
}

/** The JSON answer to a GET of `path`. Throws Problem. */
export async function get(path) {
  return (await good(fetchWithKey(path, { cache: "no-store" }))).json();
}

/** The JSON answer to a GET of `path`, sent without a key. Throws Problem. */
export async function getOpen(path) {
  return (await good(fetch(path, { cache: "no-store" }))).json();
}

/** The text answer to a GET of `path`. Throws Problem. */
export async function getText(path) {
  return (await good(fetchWithKey(path, { cache: "no-store" }))).text();
}

async function sent({ path, headers, content }, signal) {
  return good(fetchWithKey(path, { method: "POST", headers, body: await content(), signal }));
}

async function good(asked) {
  let response;
  try {
    response = await asked;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(0);
  }
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  return response;
}

async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader(); // not all browsers can iterate over streams
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
