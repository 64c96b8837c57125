// What a visitor has written and chosen: kept for a reload of this tab, and carried by a link.

const KEPT = "unroll.fields.";
const sections = new Map();

/**
 * Keep the `fields` of a section: `{ name: { get, set } }`, each a text. What this tab has kept is set at once, and
 * `changed()` hears of what a link sets.
 */
export function keepFields(id, fields, changed) {
  sections.set(id, { fields, changed });
  setAll(fields, kept(id));
}

/** An input, a textarea or a switch as a field. */
export function fieldOf(control) {
  const isSwitch = control.type === "checkbox";
  return {
    get: () => (isSwitch ? (control.checked ? "1" : "0") : control.value),
    set(value) {
      if (isSwitch) control.checked = value === "1";
      else control.value = value;
      control.dispatchEvent(new Event("input", { bubbles: true })); // for what shows the value elsewhere
    },
  };
}

/** Keep the fields of a section as they are. */
export function saveFields(id) {
  const { fields } = sections.get(id) ?? {};
  if (!fields) return;
  try {
    sessionStorage.setItem(KEPT + id, JSON.stringify(valuesOf(fields)));
  } catch {
    // storage is disabled or full: nothing is kept
  }
}

/** A link to the page with the fields of a section. */
export function linkTo(id) {
  const { fields } = sections.get(id) ?? { fields: {} };
  const query = new URLSearchParams(valuesOf(fields));
  return `${location.origin}${location.pathname}${location.search}#${id}?${query}`;
}

/** Set the fields that the link of this page carries. Returns the section, or null; what was typed later is not set again. */
export function followLink() {
  const [id, query] = location.hash.slice(1).split(/\?(.*)/s);
  if (query === undefined || !sections.has(id)) return null;
  const { fields, changed } = sections.get(id);
  setAll(fields, Object.fromEntries(new URLSearchParams(query)));
  history.replaceState(null, "", `#${id}`);
  changed();
  document.getElementById(id).scrollIntoView();
  return id;
}

function valuesOf(fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.get()]));
}

function setAll(fields, values) {
  for (const [name, value] of Object.entries(values)) {
    if (Object.hasOwn(fields, name) && typeof value === "string") fields[name].set(value);
  }
}

function kept(id) {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT + id)) ?? {};
  } catch {
    return {};
  }
}
