// Requests as JavaScript with fetch: modules of Node.js, and of a browser if they read no file.

import { keyWanted } from "../key.js";
import { address, STATE, withOptions } from "./parts.js";

export function javascript(steps) {
  const reads = steps.some(({ body }) => body.files);
  const first = steps.findIndex(({ keeps }) => keeps);
  const parts = steps.map((step, at) => partOf(step, at ? "" : steps.length > 1 ? "let " : "const ", at === first ? ["let ", ""] : ["(", ")"]));
  return [...(reads ? ['import { readFile } from "node:fs/promises";\n'] : []), ...parts].join("\n");
}

/** `declares` stands before the response, `around` before and after the state that a step keeps. */
function partOf({ path, options, body, stream, keeps }, declares, around) {
  const { before = [], type, content, query } = bodyOf(body, options);
  const headers = [...(type ? [`"Content-Type": "${type}"`] : []), ...(keyWanted() ? ["Authorization: `Bearer ${process.env.UNROLL_API_KEY}`"] : [])];
  const asked = JSON.stringify(address(query ? withOptions(path, options) : path));
  return [
    ...before,
    `${declares}response = await fetch(${asked}, {`,
    '  method: "POST",',
    ...(headers.length ? [`  headers: { ${headers.join(", ")} },`] : []),
    `  body: ${content},`,
    "});",
    ...(keeps ? [`${around[0]}{ state } = (await response.json()).results[0]${around[1]};`] : stream ? STREAM : ["console.log(await response.json());"]),
  ].join("\n");
}

const STREAM = ["for await (const events of response.body.pipeThrough(new TextDecoderStream())) {", "  console.log(events);", "}"];

/** How the body is sent: what comes before, its type and content, and whether the options are in the query. */
function bodyOf(body, options) {
  if (body.shipped) return { type: body.type, query: true, content: `await (await fetch(${JSON.stringify(address(body.shipped))})).blob()` };
  if ("csv" in body) return { type: "text/csv", query: true, content: JSON.stringify(body.csv) };
  if (body.files) {
    const files = body.files.map(({ name }) => `form.append("${body.field}", new Blob([await readFile(${JSON.stringify(name)})]), ${JSON.stringify(name)});`);
    const fields = Object.entries(options).map(([name, value]) => `form.append("${name}", ${JSON.stringify(String(value))});`);
    return { before: ["const form = new FormData();", ...files, ...fields], content: "form" };
  }
  const json = JSON.stringify({ inputs: body.inputs, ...options }).replace(`"state":"${STATE}"`, '"state":state');
  return { type: "application/json", content: `JSON.stringify(${json})` };
}
