// Small tables: what happened, by what, and how often.

import { draw, el, empty } from "./dom.js";
import { age, clock, count, day, dollars, milliseconds, share } from "./format.js";

/** Rows of {name, amount, tone} with bars, the largest of them full. */
export function showBars(place, rows, nothing) {
  draw(place, rows, (facts) => (facts.length ? bars(facts) : nothing()));
}

function bars(rows) {
  const most = Math.max(...rows.map((row) => row.amount), 1);
  const all = rows.map(({ name, amount, tone = "plain", hint }) => el("tr", { class: `tone-${tone}`, title: hint ?? null },
    el("th", { scope: "row" }, name), el("td", { class: "bar", "aria-hidden": "true" }, bar(amount / most)), el("td", { class: "number" }, count(amount))));
  return el("table", { class: "bars" }, el("tbody", {}, ...all));
}

function bar(part) {
  const fill = el("span", { class: "fill" });
  fill.style.width = `${100 * part}%`;
  fill.hidden = part === 0;
  return el("span", { class: "track" }, fill);
}

export function showOutcomes(place, { requests }) {
  const rows = [
    { name: "Answered", amount: requests.succeeded, tone: "well" },
    { name: "Failed", amount: requests.failed, tone: "failing" },
    { name: "Expired", amount: requests.expired, tone: "failing" },
    { name: "Cancelled", amount: requests.cancelled },
    { name: "Refused", amount: requests.refused, tone: "degraded", hint: "Before they became jobs" },
  ];
  const isAny = rows.some((row) => row.amount);
  showBars(place, isAny ? rows : [], () => empty("Nothing happened in this time", "Send a job, or choose a longer time above."));
}

export function showErrors(place, { errors }) {
  const rows = Object.entries(errors).map(([name, amount]) => ({ name, amount, tone: "failing" }));
  rows.sort((one, other) => other.amount - one.amount || one.name.localeCompare(other.name));
  showBars(place, rows, () => empty("No errors in this time", "Here they are counted by their error code."));
}

export function showSaved(place, told) {
  const retries = Object.values(told.retries).reduce((sum, amount) => sum + amount, 0);
  const rows = [
    { name: "Provider calls", amount: told.provider_calls, tone: "plain" },
    { name: "Answered from the cache", amount: told.cache.hits, tone: "well", hint: `${count(told.cache.misses)} misses` },
    { name: "Replays of the same id", amount: told.requests.replayed, tone: "well" },
    { name: "Calls repeated", amount: retries, tone: "degraded", hint: Object.entries(told.retries).map((retry) => retry.join(": ")).join(", ") },
    { name: "Perhaps charged twice", amount: told.possible_duplicate_charges, tone: "failing" },
  ];
  const asked = told.cache.hits + told.cache.misses;
  draw(place, [rows, asked], () => [bars(rows), el("p", { class: "note" }, asked ? `Cache: ${share(told.cache.hits, asked)} of ${count(asked)} questions that it may answer` : "Cache: no question yet that it may answer")]);
}

export function showModels(place, { models, cost_usd: cost }) {
  const rows = Object.entries(models).sort(([, one], [, other]) => other.cost_usd - one.cost_usd || other.answers - one.answers);
  draw(place, [rows, cost], () => (rows.length ? modelTable(rows) : empty("No answer in this time", "Each model that answers gets a line.")));
}

function modelTable(rows) {
  const sums = rows.reduce((sum, [, told]) => ({ answers: sum.answers + told.answers, prompt_tokens: sum.prompt_tokens + told.prompt_tokens,
    completion_tokens: sum.completion_tokens + told.completion_tokens, cost_usd: sum.cost_usd + told.cost_usd }), { answers: 0, prompt_tokens: 0, completion_tokens: 0, cost_usd: 0 });
  const line = (name, told, isSum) => el("tr", { class: isSum ? "sum" : null }, el("th", { scope: "row", class: "model" }, name),
    ...[count(told.answers), count(told.prompt_tokens), count(told.completion_tokens), dollars(told.cost_usd)].map(number));
  return table(["Model", "Answers", "Tokens in", "Tokens out", "Spent"], 1, [...rows.map(([name, told]) => line(name, told)), ...(rows.length > 1 ? [line("All", sums, true)] : [])]);
}

export function showReplicas(place, replicas, now) {
  const rows = replicas.map((replica) => ({ ...replica, up: age(Math.max(0, (now - Date.parse(replica.started_at)) / 1_000)) }));
  draw(place, rows, () => (rows.length ? table(["Replica", "State", "Busy", "Up for"], 2, rows.map(replicaRow)) : empty("No replica has reported", "They do so once a second, through Redis.")));
}

function replicaRow(replica) {
  const { state } = replica;
  const words = state === "silent" ? `silent for ${age(replica.silent_seconds)}` : state === "no kafka" ? "cut off from Kafka" : state;
  const mark = el("span", { class: `state state-${state === "no kafka" ? "cut-off" : state}` }, el("span", { class: "dot", "aria-hidden": "true" }), words);
  return el("tr", {}, el("th", { scope: "row" }, el("span", {}, replica.kind), el("span", { class: "note mono" }, ` ${replica.name}`)),
    el("td", {}, mark), number(`${count(replica.busy)} / ${count(replica.room)}`), number(replica.up));
}

export function showFailed(place, failures, onLook) {
  draw(place, failures, () => (failures.length
    ? table(["Ended", "Job", "Error", "Model", "Calls", "Took"], 4, failures.map((failure) => failedRow(failure, onLook)))
    : empty("No job has failed", "The last twenty that do are listed here, with their ids.")));
}

function failedRow(failure, onLook) {
  const id = failure.request_id;
  const look = el("button", { type: "button", class: "link mono", title: id, "aria-label": `Look at job ${id}`, onclick: () => onLook(id) }, `${id.slice(0, 8)}…`);
  const isToday = new Date(failure.completed_at).toDateString() === new Date().toDateString();
  return el("tr", {}, el("td", {}, el("time", { datetime: failure.completed_at }, (isToday ? clock : day)(failure.completed_at))), el("td", {}, look),
    el("td", {}, el("span", { class: failure.status === "failed" ? "badge" : "badge plain" }, failure.error_code)), el("td", { class: "model" }, failure.model), number(count(failure.attempts)), number(milliseconds(failure.total_ms)));
}

function table(names, firstNumber, rows) {
  const head = names.map((name, index) => el("th", { scope: "col", class: index >= firstNumber ? "number" : null }, name));
  // On a phone it scrolls sideways, with the keyboard too.
  const scrolled = { class: "wide", tabindex: "0", role: "group", "aria-label": `Table: ${names.join(", ")}` };
  return el("div", scrolled, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
}

function number(text) {
  return el("td", { class: "number" }, text);
}
