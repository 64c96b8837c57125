// Elements made by the page: text is set as text, never as markup.

/** A new element with `properties` set and `children` in it. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A new element whose text is that of `key` in the language of the page, also after another is chosen. */
export function said(tag, key, properties = {}) {
  const made = element(tag, properties);
  made.dataset.say = key;
  return made;
}

/** A new element of an SVG image. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A table, with its head and the first cell of each row as headings. */
export function table(caption, head, rows) {
  const cell = (tag, scope) => (text) => element(tag, { textContent: text, ...(scope && { scope }) });
  return element(
    "table",
    {},
    element("caption", { textContent: caption, className: "unseen" }),
    element("thead", {}, element("tr", {}, ...head.map(cell("th", "col")))),
    element(
      "tbody",
      {},
      ...rows.map(([first, ...others]) => element("tr", {}, cell("th", "row")(first), ...others.map(cell("td")))),
    ),
  );
}

/** A disclosure whose content `make()` creates when it is first opened. */
export function disclosure(summary, make) {
  const details = element("details", { className: "numbers" }, element("summary", { textContent: summary }));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const shown = element("div", { className: "scrolled", tabIndex: 0, role: "group", ariaLabel: summary }, make());
    details.append(shown);
  });
  return details;
}

/** Plots that are drawn when a reader opens them: `make()` returns their elements. */
export function folded(summary, make) {
  const details = element("details", { className: "numbers" }, element("summary", { textContent: summary }));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(element("div", { className: "unfolded" }, ...make()));
  });
  return details;
}

/** Show `nodes` in `place`: those that are there already stay untouched. */
export function showNodes(place, nodes) {
  nodes.forEach((node, at) => {
    const there = place.childNodes[at];
    if (!there) place.append(node);
    else if (there !== node) there.replaceWith(node);
  });
  while (place.childNodes.length > nodes.length) place.lastChild.remove();
}

/** A labelled choice; `options` are pairs of value and text. */
export function choice(label, options, chosen, onChoose) {
  const select = element("select", { ariaLabel: label }, ...options.map(([value, text]) => element("option", { value, textContent: text })));
  select.value = chosen;
  select.addEventListener("change", () => onChoose(select.value));
  return element("label", { className: "choice" }, element("span", { textContent: label }), select);
}
