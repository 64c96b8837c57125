// The key of a service that wants one: asked of the person, sent with each request, kept until the tab is closed.

import { askForKey } from "./keydialog.js";

const KEPT = "unroll-key";
const watchers = [];
let key = kept(); // only one that was let in is kept
let proved = key !== null;
let wanted = proved;
let refused = false; // whether the last key that was tried is none of the service's
let mayAsk = true; // for what the page fetches by itself; a person who presses a button is asked again
let asked = 0; // times
let asking = null; // the question that is open, shared by all requests that need its answer

/** Call `watcher()` when a key is first wanted, when one has proved right, and when one has not. */
export function whenKey(watcher) {
  watchers.push(watcher);
}

/** Whether the service wants a key, as far as is known. */
export function keyWanted() {
  return wanted;
}

/** Whether the last key that was tried was refused. */
export function keyRefused() {
  return refused;
}

/** Ask the person for a key now, and say whether one was entered. */
export async function enterKey() {
  const before = key;
  await ask();
  return key !== before;
}

/** `fetch` with the key, which is asked for when the service wants one; then it is tried once. */
export async function fetchWithKey(path, options = {}) {
  const [used, turn] = [key, asked];
  const response = await sent(path, options, used);
  if (response.status !== 401) return response;
  if (asked === turn && (mayAsk || (options.method ?? "GET") !== "GET")) await ask();
  if (!key || asked === turn) return response;
  return sent(path, options, key);
}

function ask() {
  asking ??= askForKey({ refused }).then((entered) => {
    asking = null;
    asked += 1;
    mayAsk = false;
    if (entered) [key, proved] = [entered, false];
  });
  return asking;
}

async function sent(path, options, tried) {
  const response = await fetch(path, tried ? withKey(options, tried) : options);
  const was = [wanted, key, proved].join();
  if (response.status === 401) {
    wanted = true;
    if (tried && tried === key) {
      [key, refused] = [null, true];
      keep(null);
    }
  } else if (tried && tried === key && !proved) {
    [proved, refused, mayAsk] = [true, false, true];
    keep(key);
  }
  if ([wanted, key, proved].join() !== was) for (const watcher of watchers) watcher();
  return response;
}

function withKey(options, tried) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(tried)); // fetch takes headers byte by byte
  return { ...options, headers: { ...options.headers, Authorization: `Bearer ${bytes}` } };
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null; // storage is switched off: the key holds until the page is left
  }
}

function keep(value) {
  try {
    if (value) sessionStorage.setItem(KEPT, value);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // as above
  }
}
