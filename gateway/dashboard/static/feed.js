// The figures as they change: one stream, made anew when it breaks, and none while nobody looks.

import { events } from "./event_stream.js";
import { ask } from "./token.js";

const SILENT_MS = 12_000;
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [1_000, 15_000];

/** Handlers: onFigures(stats), onState("live" | "lost" | "locked" | "paused"). */
export class Feed {
  #handlers;
  #stream = null;

  constructor(handlers) {
    this.#handlers = handlers;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
  }

  start() {
    this.#stream?.abort();
    this.#stream = new AbortController();
    this.#run(this.#stream);
  }

  stop() {
    this.#stream?.abort();
    this.#stream = null;
    this.#handlers.onState("paused");
  }

  async #run(stream) {
    let pauseMs = FIRST_PAUSE_MS;
    while (!stream.signal.aborted) {
      const isRead = await this.#read(stream).catch(() => false);
      if (stream.signal.aborted || isRead === null) return;
      this.#handlers.onState("lost");
      pauseMs = isRead ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.75 + Math.random() / 2)));
    }
  }

  /** Whether anything came; null: a token is wanted. */
  async #read(stream) {
    const attempt = new AbortController();
    const signal = AbortSignal.any([stream.signal, attempt.signal]);
    let alarm = setTimeout(() => attempt.abort(), SILENT_MS);
    let isRead = false;
    try {
      const response = await ask("stats/events", { signal });
      if (response.status === 401) return this.#lock();
      if (!response.ok) return false;
      for await (const event of events(response.body)) {
        clearTimeout(alarm);
        alarm = setTimeout(() => attempt.abort(), SILENT_MS);
        if (event?.name !== "stats") continue;
        isRead = true;
        this.#handlers.onState("live");
        this.#handlers.onFigures(event.data);
      }
    } catch (fault) {
      if (fault.name !== "AbortError" && !(fault instanceof TypeError)) throw fault;
    } finally {
      clearTimeout(alarm);
    }
    return isRead;
  }

  #lock() {
    this.#handlers.onState("locked");
    return null;
  }
}
