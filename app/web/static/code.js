// The same requests as code: for curl, for Python with unroll_client, and for JavaScript with fetch.

import { curl } from "./code/curl.js";
import { javascript } from "./code/javascript.js";
import { python } from "./code/python.js";

const WRITERS = { curl, python, javascript };

/** The kinds of code. */
export const CODES = Object.keys(WRITERS);

/**
 * The code of `steps`, requests in their order. Each has `path`, `options`, `stream` and `body`: `{ inputs }` as JSON,
 * `{ csv }`, `{ files, field }` or `{ shipped, type }`, a file of this server. One that `keeps` its state gives it to later
 * steps whose option `state` is `STATE`.
 */
export function codeOf(kind, steps) {
  return steps.length ? WRITERS[kind](steps) : "";
}
