// A prompt as any client would send it, and its answer as it comes.

import { byId, el, setText } from "./dom.js";
import { events } from "./event_stream.js";
import { factList, factsOf } from "./facts.js";
import { milliseconds } from "./format.js";
import { ask } from "./token.js";

export class TryBox {
  #form = byId("try-form");
  #answer = byId("answer");
  #running = null;

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
    byId("stop").addEventListener("click", () => this.#stop());
  }

  async offerModels() {
    const response = await ask("v1/models");
    if (!response.ok) return;
    const { data } = await response.json();
    byId("model").replaceChildren(...data.map(({ id }) => el("option", { value: id }, id)));
  }

  async #send() {
    if (this.#running) return;
    const run = { id: uuid(), abort: new AbortController(), startedAt: performance.now(), firstMs: null };
    this.#begin(run);
    try {
      const response = await this.#post(run);
      if (response.headers.get("content-type")?.startsWith("text/event-stream")) await this.#follow(response.body, run);
      else this.#fail(await response.json());
    } catch {
      this.#say(run.abort.signal.aborted ? "Stopped." : "The connection broke. The job goes on: find it by its id.", !run.abort.signal.aborted);
    } finally {
      this.#end(run);
    }
  }

  #post(run) {
    const words = new FormData(this.#form);
    const body = { request_id: run.id, user_prompt: words.get("prompt"), model: words.get("model") || undefined, stream: true };
    if (words.get("max_tokens")) body.max_tokens = Number(words.get("max_tokens"));
    return ask("invoke", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: run.abort.signal });
  }

  async #follow(body, run) {
    for await (const event of events(body)) {
      if (event === null) continue;
      if (event.name === "delta") this.#write(event.data, run);
      else if (event.name === "retrying") this.#retry(event.data);
      else return event.name === "result" ? this.#finish(event.data, run) : this.#fail(event.data);
    }
    return this.#say("The gateway ended the stream. The job goes on: find it by its id.", true);
  }

  #begin(run) {
    this.#running = run;
    this.#answer.replaceChildren();
    this.#answer.hidden = true;
    factList(byId("try-facts"), [["Job", run.id]]);
    this.#say("Sent, waiting for the first words …");
    this.#busy(true);
  }

  #write({ delta }, run) {
    if (!delta.content) return;
    if (run.firstMs === null) {
      run.firstMs = performance.now() - run.startedAt;
      this.#answer.hidden = false;
      this.#say("Answering …");
    }
    this.#answer.append(delta.content);
    this.#answer.scrollTop = this.#answer.scrollHeight;
  }

  #retry({ reset }) {
    this.#say("The provider failed, and is asked again …");
    if (reset) this.#answer.replaceChildren();
  }

  #finish(body, run) {
    this.#answer.hidden = !this.#answer.textContent;
    this.#say("Done.");
    const first = run.firstMs === null ? [] : [["First words after", milliseconds(run.firstMs)]];
    factList(byId("try-facts"), [["Job", run.id], ...first, ...factsOf(body)]);
  }

  #fail({ error }) {
    this.#say(error ? `${error.error_code}: ${error.message}` : "It was refused.", true);
  }

  #say(text, isFault = false) {
    setText(byId("try-status"), text);
    byId("try-status").classList.toggle("fault", isFault);
  }

  #stop() {
    if (!this.#running) return;
    this.#running.abort.abort();
    ask(`result/${this.#running.id}/cancel`, { method: "POST" }).catch(() => {});
  }

  #end(run) {
    if (this.#running === run) this.#running = null;
    this.#busy(false);
  }

  #busy(isBusy) {
    byId("send").disabled = isBusy;
    byId("stop").disabled = !isBusy;
    this.#answer.setAttribute("aria-busy", String(isBusy));
  }
}

/** `crypto.randomUUID` is there over HTTPS only. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
