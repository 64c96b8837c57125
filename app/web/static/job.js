// A task section of the page: its form, its request, and the answer or problem.

import { codeView } from "./codeview.js";
import { element, said, showNodes } from "./dom.js";
import { keepFields, linkTo, saveFields } from "./fields.js";
import { whenKey } from "./key.js";
import { drawProblem } from "./problems.js";
import { post, Problem } from "./requests.js";
import { showSection } from "./section.js";
import { sayUnreached } from "./unreached.js";
import { count, duration, number, say, whenSpoken } from "./words.js";

const EMPTY = "empty-input"; // an empty input is not sent
const TOO_LONG = "input-too-long";
const PATIENCE = 0.3; // seconds before a request that runs can be stopped: most have ended

export class Job {
  #section;
  #request;
  #ask;
  #draw;
  #summary;
  #empty;
  #cut;
  #showCode;
  #stop = said("button", "stopRun", { type: "button", className: "button stop", hidden: true });
  #parts = element("progress", { hidden: true });
  #state = { kind: "idle" };
  #running = null;

  /**
   * `request()` reads the form; `ask(request, signal, progress)` sends the request, and may report partial answers as
   * `progress(answer, { done, of })`; `draw(answer, done)` returns the elements that show an answer; `summary(answer)` is
   * for screen readers; `empty` permits an empty text; `cut` is the `cutting` of a text that is too long; `fields` are
   * those that `keepFields` keeps; `open()` answers what a link carries, by default as the button does.
   */
  constructor(id, { request, ask = post, draw, summary, empty = false, cut, fields, open }) {
    this.#section = document.getElementById(id);
    this.#request = request;
    this.#ask = ask;
    this.#draw = draw;
    this.#summary = summary;
    this.#empty = empty;
    this.#cut = cut;
    this.open = open ?? (() => this.run());
    this.#find(".answer").append(document.getElementById("answer-template").content.cloneNode(true));
    this.#find(".clock").before(this.#stop);
    this.#find(".run").after(this.#parts);
    if (fields) keepFields(id, fields, () => this.changed());
    this.#showCode = codeView(this.#find(".code"), fields ? () => linkTo(id) : null);
    this.#stop.addEventListener("click", () => this.#interrupt());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    for (const place of [this.form, this.#find(".answer")]) {
      for (const name of ["input", "change"]) place.addEventListener(name, () => this.changed());
    }
    whenSpoken(() => this.#redraw());
    whenKey(() => this.showCode());
    this.showCode();
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
    const refused = this.#refusal(request);
    if (refused) return this.#become({ kind: "failed", problem: refused });
    const running = (this.#running = new AbortController());
    const focused = document.activeElement;
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    this.#become({ kind: "running", seconds: 0 });
    const clock = setInterval(() => running.signal.aborted || this.#tick(seconds()), 100);
    const progress = (answer, parts) => running.signal.aborted || this.#become({ kind: "running", answer, parts, seconds: seconds() });
    let state;
    try {
      const answer = await ask(request, running.signal, progress);
      state = { kind: "answered", answer: { sources: request.sources, ...answer } };
    } catch (problem) {
      if (running.signal.aborted) return;
      if (!(problem instanceof Problem)) console.error(problem); // a bug of the page
      state = { kind: "failed", problem, answer: this.#state.answer };
    } finally {
      clearInterval(clock);
    }
    if (running.signal.aborted) return;
    this.#running = null;
    this.#become({ ...state, seconds: seconds() });
    if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
    if ([0, 503].includes(state.problem?.status)) sayUnreached();
  }

  /** Remove the last answer when the input has changed. */
  clear() {
    this.#running?.abort();
    this.#running = null;
    this.#become({ kind: "idle" });
  }

  /** The form has changed: show its code, and keep it for a reload. */
  changed() {
    saveFields(this.#section.id);
    this.showCode();
  }

  /** Show the code of the current form. */
  showCode() {
    const request = this.#request();
    this.#showCode(request.steps ?? []);
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

  /** The problem of a request that is not sent; null if there is none. */
  #refusal({ sources, advice = "writeFirst", refused = null }) {
    if (!this.#empty && sources?.some((text) => !text.trim())) return { slug: EMPTY, advice };
    return refused;
  }

  /** Stop the request, and keep what it has answered. */
  #interrupt() {
    this.#running?.abort();
    this.#running = null;
    this.#become({ ...this.#state, kind: "stopped" });
    this.#find("[type=submit]").focus({ preventScroll: true });
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
    this.#stop.disabled = !running;
    if (!running) this.#stop.hidden = true;
    this.#section.setAttribute("aria-busy", String(running));
    this.#section.classList.toggle("streaming", Boolean(running && answer));
    this.#find(".error").replaceChildren(...(problem ? [drawProblem(problem), ...this.#drawCut(problem)] : []));
    if (answer) showNodes(this.#find(".results"), [...this.#draw(answer, !running), ...(this.#cut?.isOn() ? [element("p", { className: "hint", textContent: say("wasCut") })] : [])]);
    else if (!running) this.#find(".results").replaceChildren(...(problem ? [] : [this.#drawNothing()]));
    const ended = kind === "running" || kind === "idle" ? "" : kind;
    this.#find(".clock").textContent = ended && seconds !== undefined ? say(ended, { time: duration(seconds) }) : "";
    this.#find(".spoken").textContent = this.answered ? this.#summary(answer) : "";
    this.#parts.hidden = true;
    if (running) this.#tick(seconds);
  }

  /** The button that reads what fits of a text that is too long, unless that has failed. */
  #drawCut({ slug }) {
    if (slug !== TOO_LONG || !this.#cut || this.#cut.isOn()) return [];
    const button = element("button", { type: "button", className: "button", textContent: say("cutText") });
    button.addEventListener("click", () => {
      this.#cut.start();
      this.changed();
      this.#find("[type=submit]").focus({ preventScroll: true }); // this button goes
      this.run();
    });
    return [button];
  }

  #drawNothing() {
    return element("p", { className: "nothing", textContent: say(`hint_${this.#section.id}`) });
  }

  #tick(seconds) {
    const { parts } = this.#state;
    const time = `${say("running")} ${number(seconds, { digits: 1 })} s`;
    this.#state.seconds = seconds;
    this.#stop.hidden &&= seconds < PATIENCE;
    this.#find(".clock").textContent = parts ? `${time} · ${say("partsDone", { done: count(parts.done), of: count(parts.of) })}` : time;
    this.#parts.hidden = !parts;
    if (parts) Object.assign(this.#parts, { value: parts.done, max: parts.of, ariaLabel: say("partsDone", parts) });
  }

  #find(selector) {
    return this.#section.querySelector(selector);
  }
}
