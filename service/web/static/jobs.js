import { actions } from "./actions.js";
import { live } from "./live.js";

live(document.getElementById("list"), document.getElementById("connection"));
actions(() => {}); // what has changed comes by itself
document.querySelector("form.filters").addEventListener("change", (event) => event.currentTarget.submit());
