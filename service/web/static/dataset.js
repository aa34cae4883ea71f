/** The form of a job: the server says at every change what the job would be, what is wrong with it, and what it takes. */

import { ask, notice, Refusal } from "./api.js";

const form = document.getElementById("job");
const report = document.getElementById("report");
const start = document.getElementById("start");
/** The form's inputs that say what a field of the API's error is about; the first that fits. */
const INPUTS = [
  [/^target/, "target"], [/^network\.layers\.\d+\.activation/, "activation"], [/^network\.layers\.\d+\.dropout/, "dropout"],
  [/^network/, "layers"], [/^loss/, "loss"], [/^optimizer\.learning_rate/, "learning_rate"], [/^optimizer/, "optimizer"],
  [/^schedule/, "schedule"], [/^epochs/, "epochs"], [/^batch_size/, "batch_size"], [/^split\.test/, "test"], [/^split/, "validation"],
  [/^early_stopping/, "patience"], [/^seed/, "seed"],
];

/** Return what was typed as a number where it is one; the server says what is wrong with all else. */
function number(text) {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function request() {
  const of = new FormData(form);
  const said = (name) => (of.get(name) ?? "").trim();
  const optimizer = { name: said("optimizer") };
  if (said("learning_rate")) optimizer.learning_rate = number(said("learning_rate"));
  const units = said("layers") ? said("layers").split(/[\s,;]+/).filter(Boolean) : [];
  const job = {
    dataset_id: form.dataset.dataset,
    target: said("target"),
    network: { layers: units.map((each) => ({ units: number(each), activation: said("activation"), dropout: number(said("dropout")) })) },
    loss: said("loss"), optimizer, schedule: said("schedule"), epochs: number(said("epochs")),
    batch_size: number(said("batch_size")), seed: number(said("seed")),
    split: { by: "fraction", validation: number(said("validation")), test: number(said("test")) },
  };
  if (said("patience")) job.early_stopping = { patience: number(said("patience")) };
  return job;
}

let asked = 0;

async function look() {
  if (!new FormData(form).get("target")) return;
  const mine = ++asked;
  try {
    const found = await ask("/v1/jobs/validate", request());
    if (mine === asked) show(found);
  } catch (error) {
    if (mine === asked) report.replaceChildren(line("p", error.message, "error"));
  }
}

function line(tag, text, kind = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = kind;
  return element;
}

function show({ valid, errors, warnings, spec, estimate }) {
  clear();
  start.disabled = !valid;
  const parts = [];
  if (spec) {
    const layers = [...spec.network.layers, spec.output].map((layer) => `${layer.units} ${layer.activation}`).join(" → ");
    parts.push(line("p", `${spec.task === "classification" ? "Tells classes apart" : "Predicts a number"}: ${range(estimate.inputs)} inputs → ${layers}; ${spec.loss.name}, ${spec.optimizer.name}.`));
    const seconds = estimate.seconds === null ? "the time is not known until a worker has measured its machine" : `about ${estimate.seconds < 10 ? estimate.seconds.toFixed(1) : Math.round(estimate.seconds)} s`;
    parts.push(line("p", `${range(estimate.parameters)} parameters, ${estimate.steps.toLocaleString("en")} steps, ${(estimate.peak_bytes / 2 ** 20).toFixed(0)} MiB of memory, ${seconds}.`));
  }
  const rest = errors.filter((error) => !at(error, parts));
  if (rest.length) parts.push(list(rest, "error"));
  if (warnings.length) parts.push(list(warnings, "quiet"));
  if (errors.length) parts.unshift(line("p", errors.length === 1 ? "One field needs a change." : `${errors.length} fields need a change.`, "error"));
  report.replaceChildren(...parts);
}

function range({ least, most }) {
  return least === most ? most.toLocaleString("en") : `${least.toLocaleString("en")} to ${most.toLocaleString("en")}`;
}

function list(told, kind) {
  const items = document.createElement("ul");
  items.className = kind;
  items.append(...told.map((each) => line("li", `${each.field}: ${each.message}${each.allowed ? `; allowed: ${each.allowed}` : ""}`)));
  return items;
}

function clear() {
  for (const says of form.querySelectorAll(".says")) says.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}

/** Put an error below its input; return whether there is one for it. */
function at(error) {
  const name = INPUTS.find(([pattern]) => pattern.test(error.field))?.[1];
  const input = name && name !== "target" && form.querySelector(`[name="${name}"]`);
  if (!input) return false;
  const says = line("span", `${error.message}${error.allowed ? `; allowed: ${error.allowed}` : ""}`, "says");
  says.id = `says-${name}-${form.querySelectorAll(".says").length}`;
  input.closest(".field").append(says);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", says.id);
  return true;
}

let typing;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(look, 150);
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  start.disabled = true;
  try {
    const job = await ask("/v1/jobs", request());
    location.assign(`/jobs/${job.id}`);
  } catch (error) {
    start.disabled = false;
    if (error instanceof Refusal) show({ valid: false, errors: error.problem.errors ?? [], warnings: [], spec: null });
    notice(error.message);
  }
});
look(); // a browser keeps what was chosen when the page is loaded again
