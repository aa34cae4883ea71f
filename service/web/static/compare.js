import { ask, notice } from "./api.js";
import { Curves } from "./curves.js";

const curves = new Curves(document.getElementById("curves"), document.getElementById("curve-options"), document.getElementById("log"));
for (const column of document.querySelectorAll("th[data-job]")) {
  try {
    const { columns } = await ask(`/v1/jobs/${column.dataset.job}/metrics?max_points=1000`);
    curves.set(column.dataset.job, columns);
  } catch (error) {
    notice(error.message);
  }
}
