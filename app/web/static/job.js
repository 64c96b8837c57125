// A task section of the page: its form, its request, and the answer or problem.

import { element } from "./dom.js";
import { whenKey } from "./key.js";
import { problemTitle } from "./problems.js";
import { post, Problem } from "./requests.js";
import { showSection } from "./section.js";
import { duration, number, say, whenSpoken } from "./words.js";

const EMPTY = "empty-input"; // an empty input is not sent
const unreached = new Set();

/** Call `callback` whenever the server does not respond. */
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
   * `request()` reads the form; `ask(request, signal, progress)` sends the request, and may report partial answers;
   * `draw(answer, done)` returns the elements that show an answer; `summary(answer)` is for screen readers; `empty`
   * permits an empty text.
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

  /** Whether an answer is shown. */
  get answered() {
    return this.#state.kind === "answered";
  }

  /** Send the request and show the answer. An earlier pending request is aborted. */
  async run({ request = this.#request(), ask = this.#ask } = {}) {
    this.#running?.abort();
    if (!this.#empty && request.sources?.some((text) => !text.trim())) return this.#become({ kind: "failed", problem: { slug: EMPTY, advice: request.advice ?? "writeFirst" } });
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
      if (!(problem instanceof Problem)) console.error(problem); // a bug of the page
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

  /** Remove the last answer when the input has changed. */
  clear() {
    this.#running?.abort();
    this.#running = null;
    this.#become({ kind: "idle" });
  }

  /** Show the curl command of the current form. */
  showCurl() {
    this.#find(".curl code").textContent = this.#request().curl;
  }

  /** Keep an answer that is shown already, to draw it again when the language changes. */
  keep(answer) {
    if (this.answered) this.#state = { ...this.#state, answer };
  }

  /** Whether a button of the form can be used while no request runs. */
  allow(button, allowed) {
    button.toggleAttribute("data-off", !allowed);
    button.disabled = !allowed || this.#state.kind === "running";
  }

  /** Show the section, or hide it if no model does this task. */
  setServed(served) {
    showSection(this.#section.id, served);
  }

  #become(state) {
    this.#state = state;
    this.#redraw();
  }

  #redraw() {
    const { kind, answer, problem, seconds } = this.#state;
    const running = kind === "running";
    for (const control of this.#section.querySelectorAll("form button, form input[type=file]")) {
      control.disabled = running || "off" in control.dataset; // off: disabled for another reason than a running request
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
    return element("p", { className: "nothing", textContent: say(`hint_${this.#section.id}`) });
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

/** A problem of the page or of the service; details of the service are in English. */
function drawProblem(problem) {
  const { status, detail, advice } = problem;
  const hint = status === 0 ? "unreachableDetail" : advice;
  return element(
    "div",
    { className: "problem" },
    element("strong", { textContent: problemTitle(problem) }),
    ...(hint ? [element("p", { textContent: say(hint) })] : []),
    ...(detail ? [element("p", { className: "detail", lang: "en", textContent: detail })] : []),
    ...(status ? [element("p", { className: "facts", textContent: `HTTP ${status}` })] : []),
  );
}

async function copyText(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // without https the clipboard API is missing on other hosts; the older way copies a selection
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
}
