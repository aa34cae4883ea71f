/** The steps of a pass, made from a trace: what each computes, in which words, and which matrices stand in its equation. */

import { element, matrix, written } from "./matrix.js";

const transposed = (rows) => rows[0].map((_, j) => rows.map((row) => row[j]));
const asRow = (vector) => [vector];
const sign = (text) => element("span", "sign", text);

/** Return the steps of `trace` in their order; each has `place`, `quantity`, `title`, `says`, and `draw(view)`. */
export function steps(trace) {
  const { layers } = trace, m = trace.rows.length, found = [];
  const below = (l) => (l ? layers[l - 1].a : trace.x);
  const belowName = (l) => (l ? "a_prev" : "x");
  const columns = (l) => (l === layers.length - 1 ? trace.outputs : null);
  found.push({
    place: "x", quantity: "x", way: "forward", title: "x",
    says: `Forward. The batch: ${m} sample${m > 1 ? "s" : ""}, a row each, with ${trace.inputs.length} input${trace.inputs.length > 1 ? "s" : ""}.`,
    draw: () => [matrix({ label: "x", data: trace.x, result: true, columns: trace.inputs })],
  });
  layers.forEach((layer, l) => {
    const prev = belowName(l), { weight, bias } = layer.theta;
    if (layer.z) {
      found.push({
        place: l, quantity: "z", way: "forward", title: `z = ${prev} Θᵀ${bias ? " + b" : ""}`,
        says: "The weighted sums: each row of z belongs to one sample, each column to one unit.",
        draw: () => [
          matrix({ label: "z", data: layer.z, result: true, key: "z", columns: columns(l) }), sign("="),
          matrix({ label: prev, data: below(l), columns: l ? null : trace.inputs }), sign("·"),
          matrix({ label: "Θᵀ", data: transposed(weight), says: (i, j) => `Θ[${j + 1}, ${i + 1}] = ${written(weight[j][i], 12)}` }),
          ...(bias ? [sign("+"), matrix({ label: "b", data: asRow(bias) })] : []),
        ],
      });
      found.push({
        place: l, quantity: "a", way: "forward", title: `a = f(z), f = ${layer.activation}`,
        says: layer.elementwise ? "f is applied to each number by itself." : "f takes all numbers of a row together.",
        draw: () => [
          matrix({ label: "a", data: layer.a, result: true, key: "a", columns: columns(l) }), sign("= f"),
          matrix({ label: "z", data: layer.z, key: "a", columns: columns(l) }),
        ],
      });
    } else {
      found.push({
        place: l, quantity: "a", way: "forward", title: `a = ${layer.title}`, says: "A layer without an f, as it is in predictions.",
        draw: () => [matrix({ label: "a", data: layer.a, result: true }), sign("←"), matrix({ label: prev, data: below(l) })],
      });
    }
  });
  const top = layers.at(-1), targets = Array.isArray(trace.y[0]) ? trace.y : trace.y.map((value) => [value]);
  found.push({
    place: "J", quantity: "J", way: "forward", title: `J = 1/m Σ values = ${written(trace.loss_value)}`,
    says: `The loss, ${trace.loss.replaceAll("_", " ")}: each sample has a value of its own, and J is their mean. Here, and only here, is something averaged.`,
    draw: () => [
      matrix({ label: "values", data: trace.values.map((value) => [value]), result: true }), sign("of"),
      matrix({ label: "a", data: top.a, columns: trace.outputs }), sign("and"),
      matrix({ label: "y", data: targets, says: (i, j) => `y[${i + 1}, ${j + 1}] = ${trace.labels ? `${trace.labels[i]} (${targets[i][j]})` : written(targets[i][j], 12)}` }),
    ],
  });
  for (let l = layers.length - 1; l >= 0; l--) backward(l);
  found.push({
    place: "x", quantity: "x̄", way: "backward", title: "x̄ = ∂J/∂x", says: "The end of the way back: how J changes with each input of each sample.",
    draw: () => [matrix({ label: "x̄", data: trace.x_bar, result: true, columns: trace.inputs })],
  });
  return found;

  function backward(l) {
    const layer = layers[l], { weight, bias } = layer.theta, isTop = l === layers.length - 1;
    const above = isTop ? null : layers[l + 1];
    const mean = `1/m = 1/${m} is in it`;
    if (!layer.from_z) {
      found.push({
        place: l, quantity: "ā", way: "backward", title: isTop ? "ā = ∂J/∂a" : above.theta.weight && above.z ? "ā = z̄ Θ of the layer above" : "ā",
        says: isTop ? `Backward. The gradient at the top: ${mean}, and it is never divided by m again.` : "What reaches this layer's outputs from the layer above.",
        draw: () => [
          matrix({ label: "ā", data: layer.a_bar, result: true, columns: columns(l) }),
          ...(!isTop && above.z ? [sign("="), matrix({ label: "z̄ above", data: above.z_bar }), sign("·"), matrix({ label: "Θ above", data: above.theta.weight })] : []),
        ],
      });
    }
    if (layer.z) {
      found.push({
        place: l, quantity: "z̄", way: "backward", slope: layer, layer,
        title: layer.elementwise ? "z̄ = ā ∘ f′(z)" : "z̄ = ā · ∂a/∂z",
        says: layer.elementwise
          ? `${layer.from_z ? `The loss starts from z: z̄ comes from it directly, exactly, with ${mean}; ā is what stands above it. ` : ""}f′ is taken at z, where f was. Each sample has an f′(z) of its own.`
          : `${layer.from_z ? `The loss starts from z: z̄ comes from it directly, with ${mean}. ` : ""}${layer.activation} isn't elementwise: each sample has a whole matrix ∂a/∂z, and it isn't diagonal.`,
        draw: (view) => product(layer, view, columns(l)),
      });
    }
    for (const [name, whole] of Object.entries(layer.theta_bar)) {
      const letter = { weight: "Θ̄", bias: "b̄" }[name] ?? `adjoint of ${name}`, isWeight = name === "weight" && layer.z;
      const parts = layer.theta_bar_of_samples[name], scale = [whole, parts].flat(Infinity); // one for all of them
      const two = (array) => (Array.isArray(array[0]) ? array : asRow(array));
      found.push({
        place: l, quantity: letter, way: "backward", sum: true, title: isWeight ? `Θ̄ = z̄ᵀ ${belowName(l)}` : name === "bias" && layer.z ? "b̄ = Σ z̄" : letter,
        says: `The sum of what the ${m} sample${m > 1 ? "s" : ""} give${m > 1 ? "" : "s"}; the 1/m came in at the top, so nothing is averaged again.`,
        draw: () => [
          matrix({ label: letter, data: two(whole), result: true, key: "sum", scale }),
          ...(isWeight ? [sign("="), matrix({ label: "z̄ᵀ", data: transposed(layer.z_bar) }), sign("·"), matrix({ label: belowName(l), data: below(l) })] : []),
          wrap(), sign("="),
          ...parts.flatMap((part, k) => [
            ...(k ? [sign("+")] : []), matrix({ label: `of sample ${k + 1}`, data: two(part), key: "sum", scale, says: (i, j) => `sample ${k + 1} of row ${trace.rows[k]}: ${written(two(part)[i][j], 12)}, with 1/m in it` }),
          ]),
        ],
      });
    }
  }
}

/** Return z̄ = ā f'(z) in one of its three forms, with how far it is from the numbers of the pass. */
function product(layer, view, columns) {
  const { a_bar: above, slope, z_bar: below } = layer;
  const says = (i, j) => `z̄[${i + 1}, ${j + 1}] = ā · f′(z) = ${written(above[i][j])} · ${written(slope[i][j])} = ${written(below[i][j], 12)}, at z = ${written(layer.z[i][j])}`;
  if (!layer.elementwise) {
    return slope.flatMap((jacobian, k) => [
      matrix({ label: `z̄, sample ${k + 1}`, data: [below[k]], result: true, columns }), sign("="),
      matrix({ label: "ā", data: [above[k]], columns }), sign("·"), matrix({ label: "∂a/∂z", data: jacobian }), wrap(),
    ]);
  }
  if (view === "elementwise") {
    return [
      matrix({ label: "z̄", data: below, result: true, key: "z̄", says, columns }), sign("="),
      matrix({ label: "ā", data: above, key: "z̄", columns }), sign("∘"),
      matrix({ label: "f′(z)", data: slope, key: "z̄", says: (i, j) => `f′(z) = ${written(slope[i][j], 12)} at z[${i + 1}, ${j + 1}] = ${written(layer.z[i][j], 12)}` }),
    ];
  }
  const groups = view === "stacked" ? [[above.flat(), slope.flat(), below.flat()]] : above.map((_, k) => [above[k], slope[k], below[k]]);
  let apart = 0;
  const drawn = groups.flatMap(([bar, diagonal, known], k) => {
    const square = diagonal.map((value, i) => diagonal.map((_, j) => (i === j ? value : 0)));
    const got = diagonal.map((_, j) => bar.reduce((sum, each, i) => sum + each * square[i][j], 0));
    apart = Math.max(apart, ...got.map((value, j) => Math.abs(value - known[j])));
    const which = view === "stacked" ? "z̄, all samples" : `z̄, sample ${k + 1}`;
    return [
      matrix({ label: which, data: [got], result: true }), sign("="), matrix({ label: "ā", data: [bar] }), sign("·"),
      matrix({ label: "diag(f′(z))", data: square }), wrap(),
    ];
  });
  const same = element("p", "same", `The same numbers: the largest difference from the elementwise product is ${written(apart, 3)}.`);
  same.dataset.apart = apart;
  return [...drawn, same];
}

function wrap() {
  return element("span", "wrap");
}

