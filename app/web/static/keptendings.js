// Two endings of a text, read side by side from the state of a saved point.

import { element, said } from "./dom.js";
import { fieldOf, keepFields } from "./fields.js";
import { takeTextFile } from "./files.js";
import { Job } from "./job.js";
import { drawKept, endOf } from "./keptfacts.js";
import { kindOf } from "./keptkinds.js";
import { endingSteps, isStale, readEndings } from "./keptrequests.js";
import { Latest } from "./latest.js";
import { answeredBy } from "./results.js";
import { jobParts } from "./section.js";
import { say } from "./words.js";

const ENDINGS = {
  sentiment: { en: [" and it is wonderful to the last minute.", " but the rest is dull and boring."], ko: [" 끝까지 재미있었다.", " 뒤로 갈수록 지루하다."] },
  completion: { en: [" best", " worst"], ko: [" 재미있게", " 지루하게"] },
};

/** Connect the part of the section. `back(point, { isUsable })` returns to a saved point, `stale()` hears that states are of no use now. */
export function endingsJob(place, { back, stale }) {
  const areas = [1, 2].map((number) => element("textarea", { id: `kept-ending-${number}`, rows: 3, spellcheck: false }));
  const fields = areas.map((area, at) => element("div", {}, said("label", `keptEnding${at + 1}`, { htmlFor: area.id }), area));
  const text = element("p", { className: "source" });
  const again = said("button", "keptBack", { type: "button", className: "button" });
  const parts = jobParts("keptTry", [element("div", { className: "pair" }, ...fields)], [again]);
  place.append(said("h3", "keptPoint"), text, ...parts);
  let point = null;
  let refused = null; // a point whose state is of no use now
  let begun = [];

  const endings = () => areas.map((area) => area.value);
  const request = () => ({ endings: endings(), point, steps: point ? endingSteps(kindOf(point.model), point.model, point, endings()) : [] });

  async function ask({ endings, point }, signal) {
    try {
      return { ...(await readEndings(kindOf(point.model), point.model, point, endings, signal)), endings, point };
    } catch (problem) {
      if (isStale(problem)) {
        refused = point;
        stale();
        problem.advice = "keptPointStale";
      }
      throw problem;
    }
  }

  const summary = ({ results, endings, point }) => results.map((result, at) => `${say(`keptEnding${at + 1}`)}: ${summaryOf(result, endings[at], point)}`).join(". ");
  const job = new Job("kept-endings", { request, ask, draw, summary });
  const latest = new Latest(() => job.run(), () => {});
  keepFields("kept-endings", Object.fromEntries(areas.map((area) => [area.id, fieldOf(area)])), () => {}); // for the next point of this tab
  for (const area of areas) {
    area.addEventListener("input", () => latest.push({}));
    takeTextFile(area.parentElement, fieldOf(area).set);
  }
  again.addEventListener("click", () => back(point, { isUsable: point !== refused }));

  return {
    /** Save a point, and try the endings from it. */
    from(saved) {
      point = saved;
      text.textContent = endOf(point.text);
      place.hidden = false;
      if (endings().every((one, at) => one === (begun[at] ?? ""))) {
        begun = startsOf(point);
        areas.forEach((area, at) => (area.value = begun[at]));
      }
      job.showCode();
      job.run();
    },
  };
}

/** The endings that a visitor finds; of a series, its last row and its first row. */
function startsOf({ text, model: { task, languages, series } }) {
  const endings = ENDINGS[task] ?? ENDINGS.sentiment;
  if (!series) return endings[languages[0]] ?? endings.en;
  const [, first, ...others] = text.trimEnd().split("\n");
  return [others.at(-1) ?? first, first];
}

function summaryOf(result, ending, { model }) {
  const { summary, endingSummary = summary } = kindOf(model);
  return endingSummary(result, ending);
}

function draw({ results, endings, point, now, kept }) {
  const kind = kindOf(point.model);
  const drawOne = kind.drawEnding ?? kind.draw;
  const lang = point.model.languages.at(-1) ?? "";
  const drawn = results.map((result, at) => element("div", { className: "result" }, ...drawOne(result, endings[at], lang)));
  return [...drawn, drawKept(kind, { now, kept }, answeredBy(results[0]))];
}
