// Files that are chosen in a dialog or dropped.

/** Call `take(files)` for files chosen with the input `chooser` or dropped on `zone`. */
export function takeFiles(zone, chooser, take) {
  chooser.addEventListener("change", () => {
    const files = inOrder(chooser.files);
    chooser.value = ""; // so that the same file can be chosen again
    if (files.length) take(files);
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    // everywhere: a file dropped beside the zone must not replace the page
    window.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      const inside = zone.contains(event.target);
      zone.classList.toggle("over", inside && name !== "drop" && name !== "dragleave");
      if (name === "drop" && inside && event.dataTransfer.files.length) take(inOrder(event.dataTransfer.files));
    });
  }
}

/** Files by name, with the numbers in names in their order: 2.png before 10.png. */
function inOrder(files) {
  return [...files].sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
}
