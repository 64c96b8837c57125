// Requests as commands of a shell.

import { keyWanted } from "../key.js";
import { address, STATE, withOptions } from "./parts.js";

const KEY_HEADER = '-H "Authorization: Bearer $UNROLL_API_KEY"'; // the key itself is never shown

export function curl(steps) {
  return steps.map((step) => (step.keeps ? keeping(command(step)) : command(step))).join("\n");
}

function command({ path, options, body, stream }) {
  if (body.shipped) {
    const asked = withOptions(path, options);
    return `curl -s ${quoted(address(body.shipped))} |\n  ${["curl -s", quoted(address(asked)), ...key(), `-H 'Content-Type: ${body.type}' --data-binary @-`].join(" ")}`;
  }
  if (body.files) {
    const fields = [...body.files.map((file) => `${body.field}=@${fileName(file)}`), ...Object.entries(options).map((pair) => pair.join("="))];
    return lines(path, fields.map((one) => `-F ${quoted(one)}`));
  }
  if ("csv" in body) return lines(withOptions(path, options), ["-H 'Content-Type: text/csv'", `--data-binary ${quoted(body.csv)}`]);
  const json = quoted(bodyOf(body.inputs, options)).replace(`"state": "${STATE}"`, `"state": "'"${STATE}"'"`);
  return lines(path, ["-H 'Content-Type: application/json'", `-d ${json}`], stream ? "curl -sN" : "curl -s");
}

/** The JSON of a request, with a space after each name. */
export function bodyOf(inputs, options) {
  const members = Object.entries({ inputs, ...options }).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`);
  return `{${members.join(", ")}}`;
}

function lines(path, parts, start = "curl -s") {
  return [`${start} ${quoted(address(path))}`, ...key(), ...parts].join(" \\\n  ");
}

function keeping(asked) {
  return `STATE=$(${asked} |\n  sed -n 's/.*"state":"\\([^"]*\\)".*/\\1/p')`;
}

function key() {
  return keyWanted() ? [KEY_HEADER] : [];
}

/** The name of a file for curl, which interprets ; and , in it unless it is in double quotes. */
function fileName({ name }) {
  return /^[^;,"\\]*$/.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
