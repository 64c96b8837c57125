// Files that are chosen in a dialog, or dropped anywhere on the page.

import { textOf } from "./csv.js";
import { drawProblem } from "./problems.js";
import { language } from "./words.js";

const zones = []; // where files are dropped: { zone, take, everywhere, accepts }
const MOST_TEXT = 1_000_000; // characters of a text file

/**
 * Call `take(files)` for files chosen with the input `chooser` or dropped on `zone`, if `accepts(first)`; also for those dropped
 * elsewhere that their zone does not accept, if `everywhere(files)`.
 */
export function takeFiles(zone, chooser, take, { everywhere = () => false, accepts = () => true } = {}) {
  chooser.addEventListener("change", () => {
    const files = inOrder(chooser.files);
    chooser.value = ""; // so that the same file can be chosen again
    if (files.length) take(files);
  });
  zones.push({ zone, take, everywhere, accepts });
}

/** Call `take(text)` for a text file dropped on `zone`. */
export function takeTextFile(zone, take) {
  zones.push({ zone, take: async ([file]) => take((await textOf(file, language())).slice(0, MOST_TEXT).trim()), everywhere: () => false, accepts: isText });
}

/** Whether a file is an image. */
export function isImage({ type }) {
  return type.startsWith("image/");
}

/** Whether a file is an image, or of a type that the browser does not know. */
export function mayBeImage(file) {
  return !file.type || isImage(file);
}

function isText(file) {
  return !isTable(file) && (file.type.startsWith("text/") || /\.(txt|md|json|log)$/i.test(file.name));
}

/** Whether a file is a table of numbers, as far as its name says. */
export function isTable({ type, name }) {
  return type === "text/csv" || /\.(csv|tsv)$/i.test(name);
}

for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  // everywhere: a file dropped beside a zone must not replace the page
  window.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    const inside = zones.find(({ zone }) => zone.contains(event.target));
    const section = event.target.closest("section");
    const going = name === "drop" || (name === "dragleave" && !event.relatedTarget);
    document.body.classList.toggle("dragging", !going);
    for (const { zone } of zones) zone.classList.toggle("over", !going && zone === inside?.zone);
    if (name === "drop") drop(inOrder(event.dataTransfer.files), inside, section);
  });
}

/** Give files to the zone that takes them: the one `inside` which they are, another of `section`, or one that takes files from everywhere. Else say that none does. */
function drop(files, inside, section) {
  if (!files.length) return;
  const near = zones.filter(({ zone }) => section?.contains(zone));
  const seen = zones.filter(({ zone }) => zone.checkVisibility());
  const taker = [inside, ...near].find((one) => one?.accepts(files[0])) ?? seen.find(({ everywhere }) => everywhere(files));
  if (taker) return taker.take(files);
  const problem = { slug: "file-not-taken", advice: "fileNotTaken", values: { name: files[0].name } };
  const places = [...(section?.querySelectorAll(".error") ?? []), ...document.querySelectorAll(".job .error")];
  const place = places.find((one) => one.parentElement.checkVisibility());
  place?.replaceChildren(drawProblem(problem));
  place?.scrollIntoView({ block: "nearest" });
}

/** Files by name, with the numbers in names in their order: 2.png before 10.png. */
function inOrder(files) {
  return [...files].sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
}
