/** The inspector: the network as a map, one step of the pass at a time, forward and back. */

import { ask, notice } from "./api.js";
import { element, reading } from "./matrix.js";
import { slope } from "./slope.js";
import { steps } from "./steps.js";

const MOST_STACKED = 40; // numbers in one row, of which the diagonal matrix has the square
const page = document.getElementById("inspector");
const equation = document.getElementById("equation");
const view = document.getElementById("view");
const trace = await ask(page.dataset.source).catch((error) => notice(error.message));
if (trace) begin(steps(trace));

function begin(all) {
  let at = 0, picture = null;
  const buttons = map(all, (index) => go(index));
  reading(document.querySelector(".stage"), document.getElementById("readout"), (td) => {
    const [i, j] = td.dataset.at.split(",").map(Number);
    if (td.closest("table").dataset.key === "z̄") picture?.show(i, j);
  });
  const chosen = () => view.querySelector("input:checked").value;
  const go = (index) => {
    at = Math.max(0, Math.min(all.length - 1, index));
    const step = all[at];
    document.getElementById("step-title").textContent = step.title;
    document.getElementById("step-says").textContent = step.says;
    const product = step.layer?.elementwise;
    view.hidden = !product;
    if (product) {
      const stacked = view.querySelector("[value=stacked]");
      stacked.disabled = step.layer.z.length * step.layer.z[0].length > MOST_STACKED;
      if (stacked.disabled && stacked.checked) view.querySelector("[value=diagonal]").checked = true;
    }
    const drawn = step.draw(chosen());
    picture = step.layer && trace.curves[step.layer.activation] ? slope(step.layer, trace.curves[step.layer.activation]) : null;
    equation.replaceChildren(...paired(drawn), ...(picture && chosen() === "elementwise" ? [picture.figure] : []));
    picture?.show(0, 0);
    buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i === at));
      button.classList.toggle("done", i < at);
      button.closest(".place").classList.toggle("here", button.closest(".place") === buttons[at].closest(".place"));
    });
    for (const arrow of document.querySelectorAll(".arrows span")) arrow.classList.toggle("lit", arrow.dataset.way === step.way);
    buttons[at].scrollIntoView({ block: "nearest", inline: "nearest" });
    page.dataset.step = `${step.quantity} ${step.place}`;
    for (const [id, off] of [["first", at === 0], ["back", at === 0], ["on", at === all.length - 1], ["last", at === all.length - 1]]) document.getElementById(id).disabled = off;
  };
  view.addEventListener("change", () => go(at));
  for (const [id, step] of [["first", () => 0], ["back", () => at - 1], ["on", () => at + 1], ["last", () => all.length - 1]]) {
    document.getElementById(id).addEventListener("click", () => go(step()));
  }
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, td, textarea")) return;
    if (event.key === "ArrowRight") go(at + 1);
    else if (event.key === "ArrowLeft") go(at - 1);
  });
  document.querySelector(".questions").addEventListener("click", (event) => {
    const question = event.target.closest("button")?.dataset.question;
    if (!question) return;
    if (question !== "sum") view.querySelector(`[value=${question === "diagonal" ? "diagonal" : "elementwise"}]`).checked = true;
    const wanted = all.findIndex((step) => (question === "sum" ? step.sum : step.layer?.elementwise));
    go(wanted < 0 ? all.findIndex((step) => step.layer) : wanted);
    document.querySelector(".stage").scrollIntoView({ behavior: "smooth" });
  });
  go(0);
}

/** Keep each sign with what follows it, also where a line breaks. */
function paired(drawn) {
  return drawn.flatMap((each, i) => {
    if (each.classList.contains("sign")) {
      const pair = element("div", "pair");
      pair.append(each, drawn[i + 1]);
      return [pair];
    }
    return drawn[i - 1]?.classList.contains("sign") ? [] : [each];
  });
}

/** Draw the network from left to right; return the button of each step. */
function map(all, go) {
  const place = document.getElementById("map");
  const boxes = new Map();
  const titles = [["x", "x", "the batch"], ...trace.layers.map((layer, l) => [l, layer.activation ?? layer.title.split("(")[0], `layer ${layer.name}, ${layer.a[0].length} wide`]), ["J", "J", trace.loss.replaceAll("_", " ")]];
  titles.forEach(([key, title, says], i) => {
    if (i) {
      const arrows = element("div", "arrows");
      arrows.setAttribute("aria-hidden", "true");
      for (const [way, text] of [["forward", "→"], ["backward", "←"]]) {
        const arrow = element("span", "", text);
        arrow.dataset.way = way;
        arrows.append(arrow);
      }
      place.append(arrows);
    }
    const box = element("div", "place");
    const forward = element("div", "ways"), backward = element("div", "ways");
    box.append(element("b", "name", title), element("small", "quiet", says), forward, backward);
    boxes.set(key, { forward, backward });
    place.append(box);
  });
  return all.map((step, index) => {
    const button = element("button", "", step.quantity);
    button.setAttribute("aria-label", `${step.way}: ${step.title}`);
    button.addEventListener("click", () => go(index));
    boxes.get(step.place)[step.way].append(button);
    return button;
  });
}
