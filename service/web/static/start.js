/** The first page: a file is dropped or chosen, uploaded, and its data set shown. */

import { actions } from "./actions.js";
import { notice } from "./api.js";

const drop = document.getElementById("drop");
const file = document.getElementById("file");
const progress = document.getElementById("upload-progress");
const says = document.getElementById("upload-says");

actions(() => location.reload());
file.addEventListener("change", () => file.files.length && upload(file.files[0]));
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.getElementById("example").addEventListener("click", async ({ currentTarget: { dataset } }) => {
  const answer = await fetch(dataset.file).catch(() => null);
  if (answer?.ok) upload(new File([await answer.blob()], "penguins.csv"));
  else notice("The service doesn't answer just now. Try again.");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
});

/** Send the file as it is. XMLHttpRequest, as fetch doesn't tell how much has been sent. */
function upload(chosen) {
  document.getElementById("upload").hidden = false;
  document.getElementById("upload-name").textContent = chosen.name;
  says.className = "";
  says.textContent = "Uploading …";
  const request = new XMLHttpRequest();
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    progress.value = event.loaded / event.total;
    if (event.loaded === event.total) says.textContent = "Reading it …";
  });
  request.addEventListener("load", () => {
    const answer = JSON.parse(request.responseText || "{}");
    if (request.status < 300) location.assign(`/datasets/${answer.id}`);
    else refused(answer);
  });
  request.addEventListener("error", () => refused({ detail: "The connection broke before the service had answered. Try again." }));
  request.open("POST", `/v1/datasets?name=${encodeURIComponent(name(chosen))}`);
  request.send(chosen);
}

function name(chosen) {
  return chosen.name.replace(/(\.(csv|tsv|txt|jsonl?|ndjson|parquet|npy|npz|gz|zst))+$/i, "").slice(0, 200) || "untitled";
}

function refused(problem) {
  says.className = "error";
  const told = (problem.errors ?? []).map((error) => `${error.message}${error.allowed ? `; allowed: ${error.allowed}` : ""}`);
  says.textContent = told.length ? told.join(". ") : problem.detail ?? "The service failed; its log says why.";
  progress.value = 0;
  file.value = "";
}
