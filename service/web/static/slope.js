/** A picture of f with the z of a layer on it: f'(z) is the slope of f there. */

const NS = "http://www.w3.org/2000/svg", WIDTH = 240, HEIGHT = 150, MARGIN = 22;

/** Return the picture of a layer's f, and a function that draws the tangent at one of its z. */
export function slope(layer, curve) {
  const low = curve.z[0], high = curve.z.at(-1);
  const values = curve.a.filter((value) => value !== null);
  const bottom = Math.min(...values), height = Math.max(...values) - bottom || 1;
  const x = (z) => MARGIN + ((z - low) / (high - low)) * (WIDTH - 2 * MARGIN);
  const y = (a) => HEIGHT - MARGIN - ((a - bottom) / height) * (HEIGHT - 2 * MARGIN);
  const figure = document.createElement("figure");
  figure.className = "term";
  const label = Object.assign(document.createElement("div"), { className: "label", textContent: `f = ${layer.activation}, and its slope at z` });
  const svg = made("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "slope", role: "img", "aria-label": `the curve of ${layer.activation} with this layer's z on it` });
  svg.append(made("path", { class: "axis", d: `M${MARGIN} ${y(0)}H${WIDTH - MARGIN}M${x(0)} ${MARGIN}V${HEIGHT - MARGIN}` }));
  svg.append(made("path", { d: curve.z.map((z, i) => `${i ? "L" : "M"}${x(z).toFixed(1)} ${y(curve.a[i]).toFixed(1)}`).join("") }));
  const tangent = made("path", { class: "tangent" });
  svg.append(tangent);
  const dots = layer.z.flatMap((row, i) => row.map((z, j) => ({ z, a: layer.a[i][j], at: `${i},${j}` })));
  for (const { z, a } of dots.slice(0, 200)) if (z >= low && z <= high) svg.append(made("circle", { cx: x(z), cy: y(a), r: 2.6 }));
  for (const [text, at] of [["z", [WIDTH - MARGIN + 6, y(0) + 4]], ["a", [x(0) + 5, MARGIN - 8]]]) {
    const letter = made("text", { x: at[0], y: at[1] });
    letter.textContent = text;
    svg.append(letter);
  }
  figure.append(label, svg);
  return {
    figure,
    show(i, j) {
      const z = layer.z[i]?.[j], a = layer.a[i]?.[j], rise = layer.slope[i]?.[j];
      if (z === undefined || z === null || z < low || z > high) return tangent.removeAttribute("d");
      const reach = (high - low) / 6;
      tangent.setAttribute("d", `M${x(z - reach)} ${y(a - reach * rise)}L${x(z + reach)} ${y(a + reach * rise)}`);
    },
  };
}

function made(tag, attributes) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
