/** Predictions of whole data sets, on the page of the model's job: started here, and followed until they have ended. */

import { ask, notice } from "./api.js";

const followed = new Map();

/** Follow every prediction on the page that goes on; `then()` is called when one has got further. */
export function watchPredictions(then) {
  const going = new Set([...document.querySelectorAll("tr[data-goes-on]")].map((row) => row.id));
  for (const id of going) {
    if (followed.has(id)) continue;
    const source = new EventSource(`/v1/predictions/${id}/events/stream`);
    for (const kind of ["state", "rows"]) source.addEventListener(kind, then);
    followed.set(id, source);
  }
  for (const [id, source] of followed) {
    if (going.has(id)) continue;
    source.close();
    followed.delete(id);
  }
}

/** Start the prediction that the form asks for; `then()` is called once the service has it. */
export async function predictAll(form, model, then) {
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await ask("/v1/predictions", { model_id: model, ...Object.fromEntries(new FormData(form)) });
    then();
  } catch (error) {
    notice(error.message);
  } finally {
    button.disabled = false;
  }
}

addEventListener("pagehide", () => followed.forEach((source) => source.close()));
