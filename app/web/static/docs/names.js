// Names and levels that screen readers need, and that Swagger UI leaves out.

const CONTROLS = "select, textarea, input:not([type=hidden])";
const LEVELS = { H2: 1, H3: 2, H4: 3, H5: 4 };

/** Name the controls in `root`, now and whenever Swagger UI draws others. */
export function named(root) {
  nameAll(root);
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) if (node instanceof Element) nameAll(node);
    }
  }).observe(root, { childList: true, subtree: true });
}

function nameAll(part) {
  for (const control of all(part, CONTROLS)) {
    if (!control.labels?.length && !control.ariaLabel) control.ariaLabel = nameOf(control);
  }
  for (const heading of all(part, "h2, h3, h4, h5")) {
    heading.role = "heading";
    heading.ariaLevel = String(LEVELS[heading.tagName]);
  }
  for (const button of all(part, ".copy-to-clipboard button")) button.ariaLabel = "Copy";
  for (const button of all(part, ".close-modal")) button.ariaLabel = "Close";
  for (const code of all(part, "pre.microlight")) code.tabIndex = 0; // it scrolls
  for (const table of all(part, "table[role=region]")) {
    table.ariaLabel = `Answers of ${table.id.replace(/_responses$/, "").replaceAll("_", " ")}`;
  }
}

function nameOf(control) {
  const row = control.closest("tr[data-param-name], tr[data-property-name]");
  if (row) return row.dataset.paramName ?? row.dataset.propertyName;
  if (control.closest(".examples-select")) return "Example";
  if (control.matches(".content-type") || control.closest(".response-control-media-type")) return "Media type";
  return control.matches("textarea") ? "Request body" : "Value";
}

function all(part, selector) {
  return [...(part.matches(selector) ? [part] : []), ...part.querySelectorAll(selector)];
}
