// The key of a service that asks for one: asked of the person once, kept until the tab is closed.

import { say } from "./words.js";

const KEPT = "unroll-key";
let declined = false; // a page that looks by itself asks no second time; a person who presses a button is asked again

/** `fetch` with the key, which is asked for when the service wants one. */
export async function fetchWithKey(path, options = {}) {
  const used = sessionStorage.getItem(KEPT);
  const response = await fetch(path, withKey(options, used));
  if (response.status !== 401) return response;
  if (sessionStorage.getItem(KEPT) === used && !askForKey(options)) return response; // else another request has asked
  return fetch(path, withKey(options, sessionStorage.getItem(KEPT)));
}

function askForKey({ method = "GET" }) {
  if (declined && method === "GET") return false;
  const key = prompt(say("keyWanted"))?.trim();
  declined = !key;
  if (key) sessionStorage.setItem(KEPT, key);
  return Boolean(key);
}

function withKey(options, key) {
  return key ? { ...options, headers: { ...options.headers, Authorization: `Bearer ${key}` } } : options;
}
