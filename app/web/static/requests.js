// Requests to this server, their curl commands, and their answers or problems.

import { fetchWithKey, keyWanted } from "./key.js";

const KEY_HEADER = '-H "Authorization: Bearer $UNROLL_API_KEY"'; // for curl; the key itself is never shown

/** A failed request: slug, title and detail of application/problem+json. */
export class Problem extends Error {
  constructor(status, { type = "", title = `HTTP ${status}`, detail = "", options = [] } = {}) {
    super(title);
    this.status = status; // 0: the server did not respond
    this.slug = type.split("/").at(-1); // docs/api/errors.md lists them
    this.title = title;
    this.detail = detail;
    this.options = options; // of contradictory-options
  }
}

/** A POST of `inputs`, one text or a list of texts, and `options` as JSON. */
export function textRequest(path, inputs, options = {}) {
  const members = Object.entries({ inputs, ...options }).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`);
  const body = `{${members.join(", ")}}`;
  const command = options.stream ? "curl -sN" : "curl -s";
  const curl = [`${command} ${quoted(address(path))}`, ...keyHeader(), "-H 'Content-Type: application/json'", `-d ${quoted(body)}`];
  return {
    path,
    headers: { "Content-Type": "application/json" },
    content: () => body,
    curl: curl.join(" \\\n  "),
    sources: [inputs].flat(),
  };
}

/** A POST of `text`, a CSV, with `options` in the query string. */
export function csvRequest(path, text, options = {}) {
  const asked = `${path}?${new URLSearchParams(options)}`;
  const curl = [`curl -s ${quoted(address(asked))}`, ...keyHeader(), "-H 'Content-Type: text/csv'", `--data-binary ${quoted(text)}`];
  return { path: asked, headers: { "Content-Type": "text/csv" }, content: () => text, curl: curl.join(" \\\n  ") };
}

/** A POST of images: a file of this server as a raw body, any other `files` in the `field` of a form. */
export function pictureRequest(path, { files, shipped }, options = {}, field = "images") {
  if (shipped) {
    const asked = `${path}?${new URLSearchParams(options)}`;
    const headers = { "Content-Type": "image/webp" };
    const curl = [
      `curl -s ${quoted(address(shipped))} |`,
      ["  curl -s", quoted(address(asked)), ...keyHeader(), "-H 'Content-Type: image/webp' --data-binary @-"].join(" "),
    ];
    return { path: asked, headers, content: async () => (await fetch(shipped)).blob(), curl: curl.join("\n") };
  }
  const form = new FormData();
  for (const file of files) form.append(field, file);
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  const fields = [...files.map((file) => `${field}=@${fileName(file)}`), ...Object.entries(options).map((pair) => pair.join("="))];
  const curl = [`curl -s ${quoted(address(path))}`, ...keyHeader(), ...fields.map((one) => `-F ${quoted(one)}`)];
  return { path, headers: {}, content: () => form, curl: curl.join(" \\\n  ") };
}

/** The name of a file for curl, which interprets ; and , in it unless it is in double quotes. */
function fileName({ name }) {
  return /^[^;,"\\]*$/.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
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

/** The answer to the request `make(true)`, or `make(false)` if the model has no attention. */
export async function withAttention(make, asked) {
  try {
    return await asked(make(true));
  } catch (problem) {
    if (!problem.options?.includes("attention")) throw problem;
    return asked(make(false));
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

function keyHeader() {
  return keyWanted() ? [KEY_HEADER] : [];
}

function address(path) {
  return new URL(path, document.baseURI).href;
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
