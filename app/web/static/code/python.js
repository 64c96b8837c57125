// Requests as Python with unroll_client, which reads the key from the environment.

import { address, indented, STATE } from "./parts.js";

export function python(steps) {
  const calls = steps.map(callOf);
  const names = ["Unroll", ...new Set(calls.flatMap(({ needs = [] }) => needs))].sort();
  const head = [...(calls.some(({ fetches }) => fetches) ? ["import httpx"] : []), `from unroll_client import ${names.join(", ")}`];
  const body = calls.map(({ lines }) => lines.join("\n")).join("\n");
  return `${head.join("\n")}\n\nwith Unroll(${literal(address(".").replace(/\/$/, ""))}) as client:\n    ${indented(body, 4)}`;
}

function callOf({ path, options, body, stream, keeps }) {
  const task = path.split("/").at(-1);
  const { source, isOne, ...needs } = sourceOf(body);
  const { stream: _, ...others } = options;
  const named = Object.entries(others).map(([name, value]) => `${name}=${value === STATE ? "state" : literal(value)}`);
  const call = `client.${stream ? "stream_" : ""}${task}(${[source, ...named].join(", ")})`;
  return { ...needs, lines: keeps ? [`state = ${call}.state`] : stream ? streaming(call, isOne) : printing(call, isOne) };
}

/** The input of a call, whether it is a single one, and what it needs. */
function sourceOf(body) {
  if (body.shipped) {
    const read = `httpx.get(${literal(address(body.shipped))}).content`;
    return body.field === "frames" ? { source: `Clip(${read})`, isOne: true, fetches: true, needs: ["Clip"] } : { source: read, isOne: true, fetches: true };
  }
  if (body.files) {
    const names = body.files.map(({ name }) => name);
    if (body.field !== "frames") return { source: literal(names[0]), isOne: true };
    return { source: `Clip(${literal(names.length > 1 ? names : names[0])})`, isOne: true, needs: ["Clip"] };
  }
  if ("csv" in body) return { source: `Csv(${literal(body.csv)}.encode())`, isOne: true, needs: ["Csv"] };
  return { source: literal(body.inputs), isOne: !Array.isArray(body.inputs) };
}

function printing(call, isOne) {
  return isOne ? [`print(${call}.to_dict())`] : [`for result in ${call}:`, "    print(result.to_dict())"];
}

function streaming(call, isOne) {
  const start = [`with ${call} as stream:`, "    for token in stream:"];
  if (isOne) return [...start, '        print(token.text, end="", flush=True)', "print()", "print(stream.result().to_dict())"];
  return [...start, "        print(token.input, token.text)", "for result in stream.result():", "    print(result.to_dict())"];
}

/** A value as Python writes it: strings and numbers are those of JSON. */
function literal(value) {
  if (value === true || value === false || value === null) return { true: "True", false: "False", null: "None" }[value];
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, one]) => `${literal(name)}: ${literal(one)}`).join(", ")}}`;
  return JSON.stringify(value);
}
