// The current token, shared by the strip of words, the line and the heat map of a text.

/** A position among `count` that several views share. */
export class Cursor {
  #watchers = [];

  constructor(count) {
    this.count = count;
    this.at = null;
  }

  /** Call `watcher(at)` at each move; `at` is null without a current token. */
  watch(watcher) {
    this.#watchers.push(watcher);
  }

  /** Move to `at`, limited to the valid range. */
  move(at) {
    const place = at === null ? null : Math.max(0, Math.min(this.count - 1, at));
    if (place === this.at) return;
    this.at = place;
    for (const watcher of this.#watchers) watcher(place);
  }
}
