// What is plotted.

import { count, dollars, dollarsShort, milliseconds, perSecond } from "./format.js";
import { Plot } from "./plot.js";

const NO_JOBS = "No job has ended in the last hour";
const dollarsPerMinute = (value) => `${dollars(value)}/min`;

const PERCENTILES = [
  { name: "p50", colour: "--p50", key: "p50" },
  { name: "p95", colour: "--p95", key: "p95" },
  { name: "p99", colour: "--p99", key: "p99", dash: [5, 3] },
];

function latency(title, hint, kind) {
  const plot = new Plot({ title, hint, lines: PERCENTILES, write: milliseconds, nothing: NO_JOBS });
  const column = (history, times, key) => history.ofJobs(times, (point) => point.latency_ms[kind][key], null);
  return { plot, columns: (history, times) => PERCENTILES.map(({ key }) => column(history, times, key)) };
}

const ended = ({ requests }) => requests.succeeded + requests.failed + requests.expired + requests.cancelled;
const failed = ({ requests }) => requests.failed + requests.expired;

function throughput() {
  const lines = [{ name: "ended", colour: "--p95", isFilled: true }, { name: "failed", colour: "--failing" }];
  const plot = new Plot({ title: "Throughput", hint: "Jobs that ended, a second", lines, write: perSecond, nothing: NO_JOBS });
  const of = (history, times, read) => history.ofJobs(times, (point) => read(point) / history.secondsOf(point), history.isEmpty ? null : 0);
  return { plot, columns: (history, times) => [of(history, times, ended), of(history, times, failed)] };
}

function queue() {
  const lines = [{ name: "in flight", colour: "--p95", isFilled: true }, { name: "waiting", colour: "--second", dash: [5, 3] }];
  const hint = "The most in half a minute, as this gateway has seen it since it began";
  const plot = new Plot({ title: "In flight and waiting", hint, lines, write: count, nothing: "No worker has said yet what it runs" });
  return { plot, columns: (history, times) => [history.ofQueue(times, (point) => point.in_flight), history.ofQueue(times, (point) => point.lag)] };
}

function spending() {
  const lines = [{ name: "spent", colour: "--p95", isFilled: true }];
  const plot = new Plot({ title: "Spending", hint: "Dollars a minute", lines, write: dollarsPerMinute, axis: dollarsShort, nothing: NO_JOBS });
  const perMinute = (history) => (point) => (point.cost_usd * 60) / history.secondsOf(point);
  return { plot, columns: (history, times) => [history.ofJobs(times, perMinute(history), history.isEmpty ? null : 0)] };
}

export class Plots {
  #all = [
    throughput(),
    latency("End to end", "From the request to its result", "end_to_end"),
    latency("Provider", "The provider's answers alone", "provider"),
    queue(),
    latency("Queue", "From the request to its begin at a worker", "queue"),
    spending(),
  ];

  constructor(place) {
    place.append(...this.#all.map(({ plot }) => plot.node));
  }

  show(history) {
    const times = history.times;
    for (const { plot, columns } of this.#all) plot.show([times, ...columns(history, times)]);
  }

  recolour() {
    for (const { plot } of this.#all) plot.recolour();
  }
}
