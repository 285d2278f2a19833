// The one line on top.

import { byId, draw, el, setText } from "./dom.js";
import { count, milliseconds } from "./format.js";

const HEADLINES = { well: "All is well", degraded: "Degraded", failing: "Failing" };
const ANSWERS = { redis: "Redis", kafka: "Kafka" };

export function showVerdict(stats) {
  const { state, reasons } = stats.verdict;
  byId("verdict").dataset.state = state;
  const [first, ...others] = reasons;
  setText(byId("headline"), first ? `${HEADLINES[state]}: ${first}` : HEADLINES[state]);
  draw(byId("reasons"), others, (lines) => lines.map((line) => el("li", {}, line)));
  setText(byId("verdict-sub"), lastMinute(stats));
  draw(byId("parts"), partsOf(stats), (parts) => parts.map(part));
}

/** What the page says when it hears nothing. */
export function showSilence(headline, sub) {
  byId("verdict").dataset.state = "waiting";
  setText(byId("headline"), headline);
  draw(byId("reasons"), [], () => []);
  setText(byId("verdict-sub"), sub);
  draw(byId("parts"), [], () => []);
}

function lastMinute({ last_1_minute: minute, in_flight: running }) {
  const { succeeded, failed, expired } = minute.requests;
  if (!succeeded && !failed && !expired) return running ? `${count(running)} in flight, none ended in the last minute` : "No job ended in the last minute";
  return `Last minute: ${count(succeeded)} answered, ${failures(failed + expired, minute.service_faults)}. 95 % within ${milliseconds(minute.latency_ms.end_to_end.p95)}`;
}

function failures(bad, faults) {
  if (!bad) return "none failed";
  return faults ? `${count(bad)} failed` : `${count(bad)} failed for what they asked`;
}

function partsOf({ dependencies, replicas }) {
  const known = Object.entries(dependencies).filter(([, isThere]) => isThere !== null);
  const parts = known.map(([name, isThere]) => ({ text: `${ANSWERS[name]} ${isThere ? "answers" : "is away"}`, state: isThere ? "well" : "silent" }));
  for (const kind of ["gateway", "worker", "one process"]) {
    const all = replicas.filter((replica) => replica.kind === kind);
    const well = all.filter((replica) => replica.state === "well").length;
    if (all.length) parts.push({ text: kind === "one process" ? kind : named(kind, well, all.length), state: well === all.length ? "well" : "silent" });
  }
  return parts;
}

function named(kind, well, all) {
  const plural = all === 1 ? kind : `${kind}s`;
  return well === all ? `${all} ${plural}` : `${well} of ${all} ${plural}`;
}

function part({ text, state }) {
  return el("li", { class: `state-${state}` }, el("span", { class: "dot", "aria-hidden": "true" }), text);
}
