// The points of the last hour, as columns for the plots.

const HOUR = 3_600;
const STEP = 30;
const SOONEST = 10;
const SHORTEST = 600;

export class History {
  #jobs = new Map();
  #queue = new Map();
  #now = 0;

  take(stats) {
    this.#now = Date.parse(stats.timestamp) / 1_000;
    for (const point of stats.points) this.#jobs.set(point.at, point);
    for (const point of stats.queue_points) this.#queue.set(point.at, point);
    for (const points of [this.#jobs, this.#queue]) {
      for (const at of points.keys()) if (at < this.#now - HOUR) points.delete(at);
    }
  }

  get isEmpty() {
    return this.#jobs.size === 0;
  }

  /** How long a point has lasted by now. */
  secondsOf(point) {
    return Math.min(point.seconds, this.#now - point.at);
  }

  /** Every half a minute, also the running one when it has lasted a while; a service that has just begun fills the plots, too. */
  get times() {
    const latest = Math.floor((this.#now - SOONEST) / STEP) * STEP;
    const known = [...this.#jobs.keys(), ...this.#queue.keys()];
    const first = Math.min(latest - SHORTEST, ...known);
    const earliest = Math.max(first, latest - HOUR + STEP);
    return Array.from({ length: Math.max(0, (latest - earliest) / STEP + 1) }, (_, index) => earliest + index * STEP);
  }

  /** `read` of each point; where nothing happened, `otherwise`. */
  ofJobs(times, read, otherwise) {
    return times.map((at) => (this.#jobs.has(at) ? read(this.#jobs.get(at)) : otherwise));
  }

  ofQueue(times, read) {
    return times.map((at) => (this.#queue.has(at) ? read(this.#queue.get(at)) : null));
  }
}
