// The page wired: one feed of figures to the parts that show them.

import { byId, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { Gate } from "./gate.js";
import { History } from "./history.js";
import { JobView } from "./job_view.js";
import { Plots } from "./plots.js";
import { showErrors, showFailed, showModels, showOutcomes, showReplicas, showSaved } from "./tables.js";
import { followTheme } from "./theme.js";
import { showTiles } from "./tiles.js";
import { TryBox } from "./try_box.js";
import { showSilence, showVerdict } from "./verdict.js";

const LIVE = { live: "Live", lost: "Connection lost", locked: "Locked", paused: "Paused" };

let latest = null;
const history = new History();
const plots = new Plots(byId("plots"));
const jobs = new JobView();
const tryBox = new TryBox();
const feed = new Feed({ onFigures, onState });
const gate = new Gate(() => feed.start());

function onFigures(stats) {
  const isFirst = latest === null;
  latest = stats;
  history.take(stats);
  gate.open();
  showVerdict(stats);
  showWindow();
  plots.show(history);
  showReplicas(byId("replicas"), stats.replicas, Date.parse(stats.timestamp));
  showFailed(byId("failed"), stats.failed_jobs, (id) => jobs.look(id));
  if (isFirst) tryBox.offerModels();
}

function showWindow() {
  const window = new FormData(byId("window-form")).get("window");
  const told = latest[window];
  showTiles(byId("tiles"), latest, window);
  showOutcomes(byId("outcomes"), told);
  showErrors(byId("errors"), told);
  showSaved(byId("saved"), told);
  showModels(byId("models"), told);
}

function onState(state) {
  byId("live").dataset.state = state;
  setText(byId("live-text"), LIVE[state]);
  if (state === "locked") {
    latest = null;
    gate.close();
    showSilence("A token is needed to see how the service is", "Whether it accepts jobs is open to everybody: /health");
  }
  if (state === "lost") showSilence("No connection to the gateway", "Trying again. What is below is from before.");
}

async function introduce() {
  const response = await fetch("health", { cache: "no-store" }).catch(() => null);
  const health = await response?.json().catch(() => null);
  if (!health) return;
  setText(byId("service"), health.service);
  document.title = health.service;
  setText(byId("about"), `${health.mode} · ${health.version}`);
  byId("about").hidden = false;
}

byId("window").addEventListener("change", () => latest && showWindow());
followTheme(byId("theme"), () => plots.recolour());
introduce();
feed.start();
