// What is known of one job's end, in a line.

import { el } from "./dom.js";
import { count, dollars, milliseconds } from "./format.js";

/** Of an answer's body, which is the same for success and failure. */
export function factsOf(body) {
  const { performance: took, usage } = body;
  const facts = [["Status", body.status], ["Model", body.model]];
  if (took) facts.push(["Took", milliseconds(took.request_latency_ms)], ["Queue", milliseconds(took.queue_ms)], ["Provider", milliseconds(took.llm_latency_ms)], ["Calls", count(took.attempts)]);
  if (usage) facts.push(["Tokens", `${count(usage.prompt_tokens)} in, ${count(usage.completion_tokens)} out`]);
  if (body.success) facts.push(["Cost", body.cost_usd === null ? "price unknown" : dollars(body.cost_usd)]);
  if (body.cached) facts.push(["Cached", "yes"]);
  return facts.filter(([, value]) => value);
}

export function factList(place, facts) {
  place.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
