// Requests to this server, the curl command of each, and what it answers or why it does not.

import { fetchWithKey } from "./key.js";

/** Why a request was not answered: the title and detail of application/problem+json. */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(title);
    this.status = status; // 0: the server was not reached
    this.title = title;
    this.detail = detail;
  }
}

/** A POST of `inputs`, one text or a list of texts, as JSON. */
export function textRequest(path, inputs) {
  const body = `{"inputs": ${JSON.stringify(inputs)}}`;
  const curl = [`curl -s ${quoted(address(path))}`, "-H 'Content-Type: application/json'", `-d ${quoted(body)}`];
  return {
    path,
    headers: { "Content-Type": "application/json" },
    content: () => body,
    curl: curl.join(" \\\n  "),
    sources: [inputs].flat(),
  };
}

/** A POST of a picture: one that this server ships as it is, with its own content type; any other file in a form. */
export function pictureRequest(path, { file, shipped }) {
  if (shipped) {
    const headers = { "Content-Type": "image/webp" };
    const curl = [
      `curl -s ${quoted(address(shipped))} |`,
      `  curl -s ${quoted(address(path))} -H 'Content-Type: image/webp' --data-binary @-`,
    ];
    return { path, headers, content: async () => (await fetch(shipped)).blob(), curl: curl.join("\n") };
  }
  const form = new FormData();
  form.append("images", file);
  // curl reads ; and , in a file name as its own unless the name stands in double quotes
  const name = /^[^;,"\\]*$/.test(file.name) ? file.name : `"${file.name.replace(/["\\]/g, "\\$&")}"`;
  const curl = [`curl -s ${quoted(address(path))}`, `-F ${quoted(`images=@${name}`)}`];
  return { path, headers: {}, content: () => form, curl: curl.join(" \\\n  ") };
}

/** The answer to a request made above. Throws Problem, or AbortError when `signal` says so. */
export async function post({ path, headers, content }, signal) {
  return answerOf(async () => fetchWithKey(path, { method: "POST", headers, body: await content(), signal }));
}

/** What a GET of `path` answers. Throws Problem. */
export async function get(path) {
  return answerOf(() => fetchWithKey(path, { cache: "no-store" }));
}

async function answerOf(sent) {
  let response, answer;
  try {
    response = await sent();
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!response) throw new Problem(0, "", "");
    throw new Problem(response.status, `HTTP ${response.status}`, response.statusText);
  }
  if (!response.ok) {
    throw new Problem(response.status, answer.title ?? `HTTP ${response.status}`, answer.detail ?? "");
  }
  return answer;
}

function address(path) {
  return new URL(path, document.baseURI).href;
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
