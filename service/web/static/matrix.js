/** A matrix as a table of coloured numbers: orange above zero, blue below, the stronger the larger. */

const MOST = 64; // rows and columns that are drawn; the shape says how many there are
const WIDE = 13, HIGH = 17; // beyond which cells are too many to have their numbers in them
const STRONGEST = 52; // per cent of the colour

/** Write a number as in the readout, or short enough for a cell. */
export function written(value, digits = 6) {
  if (value === null || value === undefined) return "not finite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-4 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−");
}

/**
 * Return the figure of a matrix.
 *
 * `label` names it, `data` are its rows, `result` says whether it is what the step computes, `says(i, j)` tells of a
 * number in words, `scale` holds numbers that the colours are to be compared with, `key` is the name by which other matrices find the same place in it, `flip` whether the place (i, j)
 * is (j, i) there.
 */
export function matrix({ label, data, shape, says, result = false, key = null, flip = false, columns = null, scale = [] }) {
  const rows = data.length, width = data[0]?.length ?? 0;
  const largest = Math.max(0, ...[...data.flat(), ...scale].filter((value) => value !== null).map(Math.abs));
  const dense = width > WIDE || rows > HIGH;
  const figure = document.createElement("figure");
  figure.className = `term${result ? " result" : ""}`;
  figure.append(element("div", "label", label));
  const table = element("table", `matrix-table${dense ? " dense" : width <= 4 && rows <= 8 ? " roomy" : ""}`);
  table.setAttribute("aria-label", `${label}, ${shape ?? `${rows} × ${width}`}`);
  if (key) table.dataset.key = key;
  const body = document.createElement("tbody");
  data.slice(0, MOST).forEach((line, i) => {
    const row = document.createElement("tr");
    line.slice(0, MOST).forEach((value, j) => row.append(cell(value, i, j)));
    body.append(row);
  });
  table.append(body);
  figure.append(scroller(table));
  const cut = rows > MOST || width > MOST ? `, the first ${Math.min(rows, MOST)} × ${Math.min(width, MOST)}` : "";
  figure.append(element("figcaption", "shape", `${shape ?? `${rows} × ${width}`}${cut}`));
  return figure;

  function cell(value, i, j) {
    const td = element("td", value === 0 ? "zero" : value < 0 ? "minus" : "", dense ? "" : written(value, 4));
    td.style.setProperty("--share", `${largest && value !== null ? (STRONGEST * Math.abs(value)) / largest : 0}%`);
    td.tabIndex = i === 0 && j === 0 ? 0 : -1;
    td.dataset.at = flip ? `${j},${i}` : `${i},${j}`;
    const told = says?.(i, j) ?? `${label}[${i + 1}, ${j + 1}]${columns?.[j] ? ` (${columns[j]})` : ""} = ${written(value, 12)}`;
    td.dataset.says = told;
    td.title = told;
    if (dense) td.setAttribute("aria-label", told);
    return td;
  }
}

function scroller(table) {
  const holder = element("div", "scroll");
  holder.append(table);
  return holder;
}

/** Return a new element. */
export function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
}

/** Let the pointer and the arrow keys read numbers out, in all matrices of `stage`; `told(cell)` is called for each. */
export function reading(stage, readout, told) {
  const tell = (event) => {
    const td = event.target.closest?.("td[data-says]");
    if (!td) return;
    readout.textContent = td.dataset.says;
    for (const mate of stage.querySelectorAll(".mate")) mate.classList.remove("mate");
    const { key } = td.closest("table").dataset;
    if (key) {
      for (const other of stage.querySelectorAll(`table[data-key="${key}"] td[data-at="${td.dataset.at}"]`)) other.classList.add("mate");
    }
    told(td);
  };
  stage.addEventListener("pointerover", tell);
  stage.addEventListener("focusin", tell);
  stage.addEventListener("keydown", (event) => {
    const td = event.target.closest("td[data-says]");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!td || !step) return;
    event.preventDefault();
    event.stopPropagation();
    const row = td.parentElement, index = [...row.children].indexOf(td);
    const next = [...row.parentElement.children][[...row.parentElement.children].indexOf(row) + step[0]]?.children[index + step[1]];
    if (!next) return;
    td.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
