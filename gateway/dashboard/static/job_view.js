// One job, found by its id.

import { byId, setText } from "./dom.js";
import { factList, factsOf } from "./facts.js";
import { ask } from "./token.js";

export class JobView {
  #dialog = byId("job");

  constructor() {
    byId("job-close").addEventListener("click", () => this.#dialog.close());
    byId("find").addEventListener("submit", (event) => {
      event.preventDefault();
      this.look(byId("find-id").value.trim());
    });
  }

  async look(id) {
    setText(byId("job-id"), id);
    this.#show({}, "Looking …");
    if (!this.#dialog.open) this.#dialog.showModal();
    try {
      const response = await ask(`result/${encodeURIComponent(id)}`);
      const body = await response.json();
      this.#show(body, response.status === 202 ? `It is ${body.status}.` : body.error?.message ?? "");
    } catch {
      this.#show({}, "The gateway did not answer. Try again.");
    }
  }

  #show(body, message) {
    const { error } = body;
    factList(byId("job-facts"), [...(body.status ? factsOf(body) : []), ...(error ? [["Error", error.error_code], ["May pass", error.retryable ? "yes" : "no"]] : [])]);
    setText(byId("job-message"), message);
    setText(byId("job-json"), Object.keys(body).length ? JSON.stringify(body, null, 2) : "");
  }
}
