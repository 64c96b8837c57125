// Who wants to know that the server does not respond.

const watchers = new Set();

/** Call `watcher` whenever the server does not respond. */
export function whenUnreached(watcher) {
  watchers.add(watcher);
}

/** Say that the server did not respond. */
export function sayUnreached() {
  for (const watcher of watchers) watcher();
}
