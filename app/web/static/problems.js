// Problems in the language of the page: their titles, what helps, and what the service says in English.

import { element } from "./dom.js";
import { canSay, count, language, say } from "./words.js";
import korean from "./words/ko-help.js";
import places from "./words/ko-places.js";

/** The title of a problem: the page's own by its type, else the service's. */
export function problemTitle({ status, slug, title }) {
  if (status === 0) return say("unreachable");
  return canSay(`problem.${slug}`) ? say(`problem.${slug}`) : (title ?? say("broke"));
}

/** Whether a request was refused because of its key. */
export function wantsKey({ status }) {
  return status === 401 || status === 403;
}

/** A problem of the page or of the service. */
export function drawProblem(problem) {
  const { status, detail, line } = problem;
  const help = helpWith(problem);
  return element(
    "div",
    { className: "problem" },
    element("strong", { textContent: problemTitle(problem) }),
    ...(line ? [element("p", { textContent: say("atLine", { line }) })] : []),
    ...(help ? [element("p", { textContent: help })] : []),
    ...(detail ? [drawDetail(detail)] : []),
    ...(status ? [element("p", { className: "facts", textContent: `HTTP ${status}` })] : []),
  );
}

/** What the service says, which is English; folded where the page has said it in its own language. */
function drawDetail(detail) {
  const said = element("p", { className: "detail", lang: "en", textContent: detail });
  return language() === "en" ? said : element("details", {}, element("summary", { textContent: say("inEnglish") }), said);
}

/** What helps against a problem. */
function helpWith({ status, slug, advice, values, limit, row, column, options, wheres }) {
  if (status === 0) return say("unreachableDetail");
  if (advice) return say(advice, values);
  if (language() === "en") return "";
  const found = placesIn({ row, column, options, wheres });
  return [adviceFor(slug, limit), found.length ? places.all.replace("{places}", found.join(", ")) : ""].filter(Boolean).join(" ");
}

/** What to do in Korean, with the limit if the problem names one. */
function adviceFor(slug, limit) {
  const help = korean[slug] ?? "";
  if (typeof help === "string") return help;
  return limit === undefined ? help.without : help.with.replace("{limit}", count(limit));
}

/** The places and names in a problem, in Korean. */
function placesIn({ row, column, options = [], wheres = [] }) {
  const rows = row === undefined ? [] : [places.row.replace("{row}", count(row))];
  const columns = column === undefined ? [] : [places.column.replace("{column}", column)];
  return [...rows, ...columns, ...options, ...wheres];
}
