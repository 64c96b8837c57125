// The key of a service that requires one: entered in a dialog, sent with each request, kept until the tab is closed.

import { askForKey } from "./keydialog.js";

const KEPT = "unroll-key";
const watchers = [];
let key = kept(); // only an accepted key is kept
let proved = key !== null;
let wanted = proved;
let refused = false; // whether the service rejected the last key
let mayAsk = true; // for requests of the page itself; a button always opens the dialog
let asked = 0; // number of dialogs
let asking = null; // the open dialog, shared by all requests that wait for a key

/** Call `watcher()` when a key is first required, accepted or rejected. */
export function whenKey(watcher) {
  watchers.push(watcher);
}

/** Whether a response has shown that the service requires a key. */
export function keyWanted() {
  return wanted;
}

/** Whether the service rejected the last key. */
export function keyRefused() {
  return refused;
}

/** Open the dialog; returns whether a key was entered. */
export async function enterKey() {
  const before = key;
  await ask();
  return key !== before;
}

/** `fetch` with the key. If the service requires one, the dialog opens and the request is sent once more. */
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
  const bytes = String.fromCharCode(...new TextEncoder().encode(tried)); // fetch requires one character per byte in headers
  return { ...options, headers: { ...options.headers, Authorization: `Bearer ${bytes}` } };
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null; // storage is disabled: the key is kept until the page is left
  }
}

function keep(value) {
  try {
    if (value) sessionStorage.setItem(KEPT, value);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // storage is disabled
  }
}
