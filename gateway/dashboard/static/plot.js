// One plot: lines, the latest figures as words, and the same as a table.

import { el, setText } from "./dom.js";
import { clock, NOTHING } from "./format.js";
import { colour } from "./theme.js";

const ROWS = 30;
const [HEIGHT, AXIS_X, AXIS_Y] = [176, 26, 54];

/** `lines`: {name, colour, dash?}; `write`: a value as people read it. */
export class Plot {
  #plot;
  #columns = [[]];

  constructor({ title, hint, lines, write, axis = write, nothing }) {
    Object.assign(this, { lines, write, axis, title });
    this.values = lines.map(() => el("b", {}, NOTHING));
    this.canvas = el("div", { class: "canvas", "aria-hidden": "true" });
    this.nothing = el("p", { class: "empty" }, nothing);
    this.table = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${title}, as a table` });
    this.details = el("details", { ontoggle: () => this.#tabulate() }, el("summary", {}, "As a table"), this.table);
    const keys = lines.map((line, index) => el("li", {}, swatch(line), line.name, this.values[index]));
    this.node = el("figure", { class: "plot card" },
      el("figcaption", { class: "plot-head" }, el("h3", { title: hint }, title), el("ul", { class: "keys" }, ...keys)),
      this.canvas, this.details);
  }

  show(columns) {
    this.#columns = columns;
    this.#plot ??= this.#begin();
    this.#plot.setData(columns);
    const isEmpty = columns.slice(1).every((column) => column.every((value) => value === null));
    this.nothing.hidden = !isEmpty;
    this.#tell(null);
    this.#tabulate();
  }

  recolour() {
    this.#plot?.redraw(false);
  }

  #begin() {
    const plot = new globalThis.uPlot(this.#options(), this.#columns, this.canvas);
    this.canvas.append(this.nothing);
    new ResizeObserver(() => plot.setSize({ width: this.canvas.clientWidth, height: HEIGHT })).observe(this.canvas);
    return plot;
  }

  #options() {
    const axis = { stroke: () => colour("--ink-3"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: () => colour("--line"), width: 1 };
    return {
      width: this.canvas.clientWidth, height: HEIGHT, padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "hour" }, points: { size: 7 } },
      hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx ?? null)] },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
      axes: [
        { ...axis, size: AXIS_X, grid: { show: false }, space: 70, values: (_, times) => times.map((at) => clock(at * 1_000).slice(0, 5)) },
        { ...axis, size: AXIS_Y, grid, space: 36, values: (_, values) => values.map((value) => this.axis(value)) },
      ],
      series: [{}, ...this.lines.map(series)],
    };
  }

  /** The values under the cursor, or the latest there are. */
  #tell(index) {
    const latest = this.#columns[0].length - 1;
    this.values.forEach((node, line) => setText(node, this.#words(line, index ?? latest)));
  }

  #words(line, index) {
    const value = this.#columns[line + 1]?.[index] ?? null;
    return value === null ? NOTHING : this.write(value);
  }

  #tabulate() {
    if (!this.details.open) return;
    const head = el("tr", {}, el("th", { scope: "col" }, "Time"), ...this.lines.map((line) => el("th", { scope: "col", class: "number" }, line.name)));
    const indexes = this.#columns[0].map((_, index) => index).slice(-ROWS).reverse();
    const rows = indexes.map((index) => el("tr", {}, el("th", { scope: "row" }, clock(this.#columns[0][index] * 1_000)),
      ...this.lines.map((_, line) => el("td", { class: "number" }, this.#words(line, index)))));
    this.table.replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
  }
}

function series(line) {
  const stroke = () => colour(line.colour);
  return { label: line.name, stroke, width: 1.75, dash: line.dash, points: { size: 5, fill: stroke, stroke }, fill: line.isFilled ? () => `${colour(line.colour)}1f` : undefined };
}

function swatch(line) {
  const node = el("span", { class: line.dash ? "swatch dashed" : "swatch", "aria-hidden": "true" });
  node.style.setProperty("--swatch", `var(${line.colour})`);
  return node;
}
