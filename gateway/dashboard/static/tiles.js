// The key figures of a time, and of now.

import { draw, el } from "./dom.js";
import { age, brief, count, dollars, duration, milliseconds, rate, share } from "./format.js";

const SECONDS = { last_1_minute: 60, last_5_minutes: 300, last_60_minutes: 3_600 };

export function showTiles(place, stats, window) {
  draw(place, tiles(stats, window), (facts) => facts.map(tile));
}

function tiles(stats, window) {
  const told = stats[window];
  const { succeeded, failed, expired, cancelled } = told.requests;
  const ended = succeeded + failed + expired + cancelled;
  const bad = failed + expired;
  const { end_to_end: whole, queue, provider } = told.latency_ms;
  const tokens = told.tokens.prompt_tokens + told.tokens.completion_tokens;
  return [
    { name: "Throughput", value: rate(ended, secondsOf(stats, window)), sub: `${count(ended)} ended` },
    { name: "Failed", value: [share(bad, ended), ""], sub: failures(bad, ended, told.service_faults), tone: toneOf(Math.min(bad, told.service_faults), ended) },
    { name: "End to end, p95", value: duration(whole.p95), sub: whole.p99 === null ? "no job ended" : `p99 ${milliseconds(whole.p99)}` },
    { name: "Provider, p95", value: duration(provider.p95), sub: `queue ${milliseconds(queue.p95)}` },
    { name: "In flight now", value: [count(stats.in_flight), ""], sub: `${count(stats.waiting)} held here` },
    { name: "Waiting now", value: [count(stats.queue.lag), ""], sub: expectedWait(stats.queue) },
    { name: "Tokens", value: [count(tokens), ""], sub: `${brief(told.tokens.prompt_tokens)} in, ${brief(told.tokens.completion_tokens)} out` },
    { name: "Spent", value: [dollars(told.cost_usd), ""], sub: told.unpriced_answers ? `${count(told.unpriced_answers)} unpriced` : "all priced" },
  ];
}

function tile({ name, value: [value, unit], sub, tone = "" }) {
  const told = el("span", { class: "value" }, value, unit ? el("span", { class: "unit" }, unit) : null);
  return el("div", { class: `tile ${tone}` }, el("dt", {}, name), el("dd", {}, told, el("p", { class: "sub" }, sub)));
}

function secondsOf(stats, window) {
  if (window !== "total") return SECONDS[window];
  return stats.total.since ? (Date.parse(stats.timestamp) - Date.parse(stats.total.since)) / 1_000 : 0;
}

function toneOf(bad, ended) {
  if (!ended || bad / ended < 0.05) return "";
  return bad / ended < 0.5 ? "degraded" : "failing";
}

/** Faults are the service's or its provider's; the others failed for what they asked. */
function failures(bad, ended, faults) {
  if (!ended) return "no job ended";
  return bad ? `${brief(bad)} of ${brief(ended)}, ${brief(Math.min(bad, faults))} faults` : `none of ${brief(ended)}`;
}

function expectedWait({ lag, expected_wait_seconds: seconds }) {
  if (lag === null) return "no worker reports";
  if (seconds === null) return "wait not known yet";
  return seconds < 1.5 ? "starts at once" : `a new one waits ${age(seconds)}`;
}

