// One job of the page: its form, the request that the form stands for, and the answer or the problem that came back.

import { element } from "./dom.js";
import { whenKey } from "./key.js";
import { problemTitle } from "./problems.js";
import { post, Problem } from "./requests.js";
import { duration, number, say, whenSpoken } from "./words.js";

const EMPTY = { slug: "empty-input", advice: "writeFirst" }; // what would be refused is not sent
const unreached = new Set();

/** Call `callback` whenever a job finds that the server is not there. */
export function whenUnreached(callback) {
  unreached.add(callback);
}

export class Job {
  #section;
  #request;
  #ask;
  #draw;
  #summary;
  #empty;
  #state = { kind: "idle" };
  #running = null;

  /**
   * `request()` is what the form stands for; `ask(request, signal, progress)` has it answered, and may tell what has
   * come so far; `draw(answer, done)` gives the elements that show an answer; `summary(answer)` is read aloud; `empty`
   * says whether a text may be empty.
   */
  constructor(id, { request, ask = post, draw, summary, empty = false }) {
    this.#section = document.getElementById(id);
    this.#request = request;
    this.#ask = ask;
    this.#draw = draw;
    this.#summary = summary;
    this.#empty = empty;
    this.#find(".answer").append(document.getElementById("answer-template").content.cloneNode(true));
    this.#addCurl();
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    this.form.addEventListener("input", () => this.showCurl());
    whenSpoken(() => this.#redraw());
    whenKey(() => this.showCurl());
    this.showCurl();
  }

  get form() {
    return this.#find("form");
  }

  /** Whether there is an answer to see. */
  get answered() {
    return this.#state.kind === "answered";
  }

  /** Send the request and show what comes back; an earlier one still on its way is given up. */
  async run({ request = this.#request(), ask = this.#ask } = {}) {
    this.#running?.abort();
    if (!this.#empty && request.sources?.some((text) => !text.trim())) return this.#become({ kind: "failed", problem: EMPTY });
    const running = (this.#running = new AbortController());
    const focused = document.activeElement;
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    this.#become({ kind: "running", seconds: 0 });
    const clock = setInterval(() => this.#tick(seconds()), 100);
    const progress = (answer) => running.signal.aborted || this.#become({ kind: "running", answer, seconds: seconds() });
    let state;
    try {
      const answer = await ask(request, running.signal, progress);
      state = { kind: "answered", answer: { sources: request.sources, ...answer } };
    } catch (problem) {
      if (running.signal.aborted) return;
      if (!(problem instanceof Problem)) console.error(problem); // ours, not the server's
      state = { kind: "failed", problem };
    } finally {
      clearInterval(clock);
    }
    if (running.signal.aborted) return;
    this.#running = null;
    this.#become({ ...state, seconds: seconds() });
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
    if ([0, 503].includes(state.problem?.status)) for (const callback of unreached) callback();
  }

  /** Forget the last answer, which was to something else. */
  clear() {
    this.#running?.abort();
    this.#running = null;
    this.#become({ kind: "idle" });
  }

  /** Show the curl command of the form as it stands. */
  showCurl() {
    this.#find(".curl code").textContent = this.#request().curl;
  }

  /** Say, or no longer say, that no model does this job. */
  setServed(served) {
    this.#section.classList.toggle("unserved", !served);
    this.#redraw();
  }

  #become(state) {
    this.#state = state;
    this.#redraw();
  }

  #redraw() {
    const { kind, answer, problem, seconds } = this.#state;
    const running = kind === "running";
    for (const control of this.#section.querySelectorAll("form button, form input[type=file]")) {
      control.disabled = running || "off" in control.dataset; // off: of no use now, whatever is running
    }
    this.#section.setAttribute("aria-busy", String(running));
    this.#section.classList.toggle("streaming", Boolean(running && answer));
    this.#find(".error").replaceChildren(...(problem ? [drawProblem(problem)] : []));
    if (answer) this.#find(".results").replaceChildren(...this.#draw(answer, !running));
    else if (!running) this.#find(".results").replaceChildren(...(problem ? [] : [this.#drawNothing()]));
    const ended = problem ? "failed" : this.answered && "answered";
    this.#find(".clock").textContent = ended && seconds !== undefined ? say(ended, { time: duration(seconds) }) : "";
    this.#find(".spoken").textContent = this.answered ? this.#summary(answer) : "";
    if (running) this.#tick(seconds);
  }

  #drawNothing() {
    const unserved = this.#section.classList.contains("unserved");
    return element("p", { className: "nothing", textContent: say(unserved ? "noModel" : `hint_${this.#section.id}`) });
  }

  #tick(seconds) {
    this.#find(".clock").textContent = `${say("running")} ${number(seconds, { digits: 1 })} s`;
  }

  #addCurl() {
    const shown = document.getElementById("curl-template").content.cloneNode(true);
    const copy = shown.querySelector("button");
    const code = shown.querySelector("code");
    shown.querySelector("pre").dataset.sayLabel = "curl";
    copy.addEventListener("click", async () => {
      await copyText(code);
      copy.textContent = say("copied");
      setTimeout(() => (copy.textContent = say("copy")), 1500);
    });
    this.#find(".curl").append(shown);
  }

  #find(selector) {
    return this.#section.querySelector(selector);
  }
}

/** A problem of this page, or of the service, which details it in English. */
function drawProblem(problem) {
  const { status, detail, advice } = problem;
  const told = status === 0 ? "unreachableDetail" : advice;
  return element(
    "div",
    { className: "problem" },
    element("strong", { textContent: problemTitle(problem) }),
    ...(told ? [element("p", { textContent: say(told) })] : []),
    ...(detail ? [element("p", { className: "detail", lang: "en", textContent: detail })] : []),
    ...(status ? [element("p", { className: "facts", textContent: `HTTP ${status}` })] : []),
  );
}

async function copyText(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // without https on another machine there is no clipboard API; the older way copies a selection
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
}
