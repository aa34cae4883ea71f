/** The buttons that do something with a job: `data-action` says what, `data-job` with which. */

import { ask, notice } from "./api.js";

const DONE = { cancel: "is being cancelled", pause: "is being paused", resume: "goes on", retry: "is tried again", delete: "is deleted" };

/** Let the buttons work; `then(action)` is called once the service has agreed. */
export function actions(then) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    const { action, job } = button.dataset;
    if (action === "delete" && !confirm("Delete this job, with its checkpoints and its model?")) return;
    button.disabled = true;
    try {
      await (action === "delete" ? ask(`/v1/jobs/${job}`, null, "DELETE") : ask(`/v1/jobs/${job}/${action}`, null, "POST"));
      notice(`The job ${DONE[action]}.`);
      then(action);
    } catch (error) {
      notice(error.message);
    } finally {
      button.disabled = false;
    }
  });
}
