/** Curves over epochs, drawn by Plotly: the losses above, every other quantity in a plot of its own below. */

const NOT_SHOWN = ["epoch", "step", "seconds"];
const LOSSES = ["loss", "validation_loss"];
const UNASKED = ["learning_rate"];

/** A plot of one job's curves, or of several jobs'. */
export class Curves {
  /** `options` is where the boxes go that say which quantities are shown; `log` the box for the losses' axis. */
  constructor(place, options, log) {
    Object.assign(this, { place, options, log, jobs: new Map(), shown: new Set(), offered: new Set() });
    place.replaceChildren();
    log.addEventListener("change", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Set the curves of a job: columns of numbers, as the API has them. */
  set(job, columns) {
    this.jobs.set(job, columns);
    for (const name of Object.keys(columns)) if (!NOT_SHOWN.includes(name)) this.offer(LOSSES.includes(name) ? "loss" : name);
    this.draw();
  }

  /** Add an epoch to a job's curves, unless it is there already. */
  add(job, epoch) {
    const columns = this.jobs.get(job);
    if (!columns?.epoch?.length) {
      this.set(job, Object.fromEntries(Object.entries(epoch).filter(([, value]) => typeof value === "number" || value === null).map(([name, value]) => [name, [value]])));
      return;
    }
    if (epoch.epoch <= columns.epoch.at(-1)) return;
    for (const [name, values] of Object.entries(columns)) values.push(epoch[name] ?? null);
    this.later();
  }

  /** How many epochs of a job are shown. */
  length(job) {
    return this.jobs.get(job)?.epoch?.length ?? 0;
  }

  offer(name) {
    if (this.offered.has(name)) return;
    this.offered.add(name);
    if (!UNASKED.includes(name)) this.shown.add(name);
    const label = document.createElement("label");
    label.className = "chip";
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: this.shown.has(name), name: `show-${name}` });
    box.addEventListener("change", () => {
      this.shown[box.checked ? "add" : "delete"](name);
      this.draw();
    });
    label.append(box, ` ${name.replaceAll("_", " ")}`);
    this.options.append(label);
  }

  /** Draw soon, once for all that comes in the meantime. */
  later() {
    this.waiting ??= setTimeout(() => {
      this.waiting = null;
      this.draw();
    }, 100);
  }

  draw() {
    const panels = [...this.offered].filter((name) => this.shown.has(name)).sort((a, b) => (b === "loss") - (a === "loss"));
    const several = this.jobs.size > 1;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => resolved(style.getPropertyValue(name).trim());
    const traces = [];
    [...this.jobs].forEach(([job, columns], number) => {
      panels.forEach((panel, place) => {
        for (const name of panel === "loss" ? LOSSES : [panel]) {
          if (!columns[name] || columns[name].every((value) => value === null)) continue;
          const validation = name === "validation_loss";
          const one = columns.epoch.length < 2;
          traces.push({
            x: columns.epoch, y: columns[name], type: "scatter", mode: one ? "markers" : "lines", connectgaps: false,
            name: (several ? `${job.slice(0, 4)}…${job.slice(-6)} ` : "") + name.replaceAll("_", " "),
            line: { width: 2, dash: several && validation ? "dot" : "solid", color: several ? colour(`--s${number % 8}`) : colour(validation ? "--validation" : "--training") },
            yaxis: place ? `y${place + 1}` : "y", hovertemplate: "epoch %{x}: %{y:.5g}<extra>%{fullData.name}</extra>",
            showlegend: panel === "loss",
          });
        }
      });
    });
    Plotly.react(this.place, traces, layout(panels, this.log.checked, colour), { responsive: true, displayModeBar: false });
    this.place.dataset.epochs = Math.max(0, ...[...this.jobs.values()].map((columns) => columns.epoch?.length ?? 0));
  }
}

/** Return a colour as Plotly takes it: it doesn't know `light-dark()`. */
function resolved(value) {
  const probe = document.createElement("span");
  probe.style.color = value;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function layout(panels, log, colour) {
  const axis = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), linecolor: colour("--control"), automargin: true };
  const gap = 0.09, weights = panels.map((name) => (name === "loss" ? 2 : 1));
  const whole = weights.reduce((sum, each) => sum + each, 0) || 1;
  const made = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 56, r: 12, t: 12, b: 40 }, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, uirevision: "keep the zoom",
    hovermode: "closest", xaxis: { ...axis, title: { text: "epoch" }, anchor: panels.length > 1 ? `y${panels.length}` : "y", rangemode: "tozero" },
  };
  let top = 1;
  panels.forEach((name, place) => {
    const height = (weights[place] / whole) * (1 - gap * (panels.length - 1));
    made[place ? `yaxis${place + 1}` : "yaxis"] = {
      ...axis, domain: [Math.max(0, top - height), top], title: { text: name.replaceAll("_", " ") },
      type: name === "loss" && log ? "log" : "linear", nticks: name === "loss" ? undefined : 4,
    };
    top -= height + gap;
  });
  return made;
}
