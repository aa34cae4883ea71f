/** A job: its curves grow with its events; all else on the page is fetched again from the server when one comes. */

import { actions } from "./actions.js";
import { ask, notice, Refusal } from "./api.js";
import { Curves } from "./curves.js";
import { elements, patch, says } from "./live.js";
import { predictAll, watchPredictions } from "./predictions.js";

const MOST_POINTS = 2000, AGAIN_SECONDS = 3;
const page = document.getElementById("job");
const { job } = page.dataset;
const connection = document.getElementById("connection");
const curves = new Curves(document.getElementById("curves"), document.getElementById("curve-options"), document.getElementById("log"));
let after = Number(page.dataset.lastEvent), source = null;

/** Fetch the whole curve, thinned where it is long. */
async function redraw() {
  const { columns } = await ask(`/v1/jobs/${job}/metrics?max_points=${MOST_POINTS}`);
  curves.set(job, columns);
}

let fetching = null, once = false;

/** Fetch the page's parts again; once more afterwards where something has come meanwhile. */
function refresh() {
  if (fetching) {
    once = true;
    return;
  }
  fetching = fetch(location.href, { headers: { Accept: "text/html" } })
    .then((answer) => (answer.ok ? answer.text() : null))
    .then((text) => {
      if (text === null) return;
      const fresh = elements(text);
      for (const part of document.querySelectorAll("[data-part]")) {
        const other = fresh.getElementById(part.id);
        if (other) patch(part, other);
      }
      watchPredictions(refresh);
    })
    .catch(() => {})
    .finally(() => setTimeout(() => {
      fetching = null;
      if (once) (once = false, refresh());
    }, 1000));
}

/** Follow the job's events, from the last one that was seen. */
function follow() {
  source?.close();
  source = new EventSource(`/v1/jobs/${job}/events/stream?after=${after}`);
  const seen = (event) => {
    after = Number(event.lastEventId);
    says(connection, "live");
    return JSON.parse(event.data);
  };
  source.addEventListener("open", () => says(connection, "live"));
  source.addEventListener("metrics", (event) => {
    curves.add(job, seen(event));
    refresh();
    if (curves.length(job) > 2 * MOST_POINTS) redraw();
  });
  for (const kind of ["state", "checkpoint", "log"]) {
    source.addEventListener(kind, (event) => {
      const { state } = seen(event);
      refresh();
      if (state) redraw().catch((error) => notice(error.message)); // an attempt may go through epochs again
    });
  }
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) {
      says(connection, "The connection is lost; trying again …", true);
      return;
    }
    // Closed for good: the job has ended and nothing follows, or what answered was no stream.
    says(connection, "");
    ask(`/v1/jobs/${job}`).then((found) => {
      if (!["succeeded", "failed", "cancelled"].includes(found.state)) setTimeout(follow, 1000 * AGAIN_SECONDS);
    }, () => {
      says(connection, "The connection is lost; trying again …", true);
      setTimeout(follow, 1000 * AGAIN_SECONDS);
    });
  });
}

/** Start with the curve as it is now, then with what came after the page was made: epochs that are there stay single. */
async function begin() {
  await redraw();
  if (document.getElementById("summary").dataset.over !== "yes") follow();
}

actions((action) => {
  if (action === "delete") location.assign("/jobs");
  else (refresh(), follow());
});
addEventListener("pagehide", () => source?.close());
begin().catch((error) => notice(error.message));
watchPredictions(refresh);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(text.textContent);
    notice("Copied.");
  } catch {
    getSelection().selectAllChildren(text); // no clipboard without HTTPS: then it is chosen, to be copied by hand
    notice("Selected: copy it with the keyboard.");
  }
});

document.addEventListener("submit", async (event) => {
  if (event.target.id === "predict-all") {
    event.preventDefault();
    predictAll(event.target, document.getElementById("model").dataset.model, refresh);
  }
  if (event.target.id !== "predict") return; // it comes with the model
  event.preventDefault();
  const row = {};
  for (const input of event.target.querySelectorAll("input[data-kind]")) {
    const text = input.value.trim();
    if (text === "") continue;
    if (input.dataset.kind === "numeric") row[input.name] = Number.isFinite(Number(text)) ? Number(text) : text;
    else if (input.dataset.kind === "boolean") row[input.name] = { true: true, false: false }[text.toLowerCase()] ?? text;
    else row[input.name] = text;
  }
  const place = document.getElementById("prediction");
  try {
    const { data } = await ask(`/v1/models/${document.getElementById("model").dataset.model}/predict`, { rows: [row] });
    place.replaceChildren(...predicted(data[0]));
  } catch (error) {
    const told = error instanceof Refusal ? error.problem.errors.map((each) => `${each.field.replace("rows.0.", "")}: ${each.message}; allowed: ${each.allowed}`) : [];
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "error", textContent: told.join(". ") || error.message }));
  }
});

function predicted({ label, probabilities, value }) {
  const says = document.createElement("p");
  const strong = document.createElement("b");
  strong.className = "name";
  strong.textContent = probabilities ? label ?? "no answer" : value ?? "no answer";
  says.append(strong);
  const bars = Object.entries(probabilities ?? {}).filter(([, share]) => share !== null).map(([name, share]) => {
    const row = document.createElement("div");
    row.className = "probability";
    const bar = Object.assign(document.createElement("progress"), { max: 1, value: share });
    bar.setAttribute("aria-label", name);
    row.append(Object.assign(document.createElement("span"), { className: "name", textContent: name }), bar, `${(100 * share).toFixed(1)} %`);
    return row;
  });
  return [says, ...bars];
}
