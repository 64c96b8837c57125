// The beginnings of a text that were read, each with its answer and the state after it: what is typed on continues from
// the longest one that still stands.

const MOST = 200; // readings that are kept, the latest ones

export class Readings {
  #kept = [];

  /** The reading of the longest beginning of `text`; null if none was read. */
  before(text) {
    const fitting = this.#kept.filter((reading) => text.startsWith(reading.text));
    return fitting.reduce((longest, reading) => (longest?.text.length >= reading.text.length ? longest : reading), null);
  }

  /** Keep a reading: `{ text, state, ... }`. */
  keep(reading) {
    this.#kept = [...this.#kept.filter(({ text }) => text !== reading.text), reading].slice(-MOST);
  }

  forget() {
    this.#kept = [];
  }
}
