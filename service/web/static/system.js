import { live } from "./live.js";

live(document.getElementById("system"), document.getElementById("connection"));
