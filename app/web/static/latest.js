// Requests that follow a movement: one at a time, and of those that wait only the latest.

export class Latest {
  #ask;
  #show;
  #waiting = null;
  #busy = false;

  /** `show(request, answer, problem)` gets what `ask(request)` returned or threw. */
  constructor(ask, show) {
    this.#ask = ask;
    this.#show = show;
  }

  /** Send `request` when the one before is answered, unless another one comes meanwhile. */
  async push(request) {
    this.#waiting = request;
    if (this.#busy) return;
    this.#busy = true;
    while (this.#waiting) {
      const next = this.#waiting;
      this.#waiting = null;
      try {
        this.#show(next, await this.#ask(next), null);
      } catch (problem) {
        this.#show(next, null, problem);
      }
    }
    this.#busy = false;
  }
}
