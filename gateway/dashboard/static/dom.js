// Elements from data. Text is always text, so nothing that a caller sent becomes markup.

export const byId = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const drawn = new WeakMap();

/** Draws anew only what changed, so that focus and the place of a reader stay. */
export function draw(node, facts, make) {
  const told = JSON.stringify(facts);
  if (drawn.get(node) === told) return;
  drawn.set(node, told);
  node.replaceChildren(...[make(facts)].flat());
}

export function empty(headline, hint) {
  return el("p", { class: "empty" }, el("strong", {}, headline), hint);
}
