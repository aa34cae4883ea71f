/** The form of a job: the server says at every change what the job would be, what is wrong with it, and what it takes. */

import { ask, notice, Refusal } from "./api.js";

const form = document.getElementById("job");
const report = document.getElementById("report");
const start = document.getElementById("start");

/** Return what was typed as a number where it is one; the server says what is wrong with all else. */
const number = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);

function json(text) {
  try {
    return text.startsWith("{") ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}

/** Set a value in the request; a word that gets numbers becomes an object with its name. */
function put(job, path, value) {
  let at = job;
  for (const step of path.slice(0, -1)) {
    if (typeof at[step] === "string") at[step] = { name: at[step] };
    at = at[step] ??= {};
  }
  at[path.at(-1)] = value;
}

/** Return the job that the form describes; what is left empty has its default. */
function request() {
  const job = { dataset_id: form.dataset.dataset, target: new FormData(form).get("target") ?? "" };
  for (const list of form.querySelectorAll("[data-list]")) put(job, list.dataset.list.split("."), []);
  for (const input of form.querySelectorAll("[data-is]:enabled")) {
    const path = input.dataset.path ? JSON.parse(input.dataset.path) : input.name.split("."), text = input.value.trim();
    const { is, by } = input.dataset;
    if (is === "box") put(job, path, input.checked);
    else if (is === "group") input.checked && put(job, path, {});
    else if (is === "choice") put(job, by && text ? [...path, by] : path, text || null);
    else if (text) put(job, path, { number, json, text: (it) => it }[is](text));
  }
  return job;
}

/** Let the fields of what is chosen be seen, and no others. */
function unfold(input) {
  const chosen = input.type === "checkbox" ? (input.checked ? "on" : "") : input.value;
  for (const part of input.closest(".choice").querySelectorAll(":scope > [data-case]")) {
    part.hidden = part.disabled = part.dataset.case !== chosen;
  }
}

/** Name the fields of a list's items by their places. */
function count(list) {
  list.querySelectorAll(":scope > .item").forEach((item, place) => {
    for (const name of ["name", "data-field"]) {
      for (const field of item.querySelectorAll(`[${name}]`)) {
        const rest = field.getAttribute(name).slice(list.dataset.list.length + 1).replace(/^\d+/, place);
        field.setAttribute(name, `${list.dataset.list}.${rest}`);
      }
    }
  });
}

form.addEventListener("change", ({ target }) => ["choice", "group"].includes(target.dataset.is) && unfold(target));
form.addEventListener("click", ({ target }) => {
  const list = target.closest("[data-list]");
  if (target.matches("[data-add]")) {
    list.querySelector("template").before(list.querySelector("template").content.cloneNode(true));
    count(list);
    [...list.querySelectorAll(":scope > .item")].at(-1).querySelector("input").select();
  } else if (target.matches("[data-remove]")) {
    target.closest(".item").remove();
    count(list);
    list.querySelector("[data-add]").focus();
  } else return;
  form.dispatchEvent(new Event("input"));
});

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
    const layers = [...spec.network.layers, spec.output].map((layer) => `${layer.units} ${layer.activation}`);
    const chain = line("ol", "", "chain");
    chain.append(...[`${range(estimate.inputs)} inputs`, ...layers].map((text) => line("li", text)));
    chain.setAttribute("aria-label", "The network");
    const task = spec.task === "classification" ? "Tells classes apart" : "Predicts a number";
    parts.push(line("p", `${task}, with ${spec.loss.name.replaceAll("_", " ")} and ${spec.optimizer.name}.`), chain);
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

/** Put an error at its field, or at what that belongs to; return whether there is such a place. */
function at(error) {
  const isThere = (place) => !place.closest("fieldset:disabled");
  for (let name = error.field; name; name = name.includes(".") ? name.replace(/\.[^.]*$/, "") : "") {
    const place = [...form.querySelectorAll("[data-field]")].find((each) => each.dataset.field === name && isThere(each));
    if (!place) continue;
    const says = line("span", `${error.message}${error.allowed ? `; allowed: ${error.allowed}` : ""}`, "says");
    says.id = `says-${form.querySelectorAll(".says").length}`;
    place.append(says);
    const input = place.querySelector("[data-is]");
    input?.setAttribute("aria-invalid", "true");
    input?.setAttribute("aria-describedby", says.id);
    for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    return true;
  }
  return false;
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
form.querySelectorAll("[data-list]").forEach(count);
form.querySelectorAll("[data-is=choice], [data-is=group]").forEach(unfold);
look(); // a browser keeps what was chosen when the page is loaded again
