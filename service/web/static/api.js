/** Asking the service, and telling what it refuses. */

/** What the service refused; `problem` is the problem document. */
export class Refusal extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** Return the JSON that the service answers with; throws a `Refusal`, or an `Error` where nobody answers. */
export async function ask(path, body, method = body === undefined ? "GET" : "POST") {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined && body !== null) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The service doesn't answer just now. Nothing is known of what it did; look, and try again.");
  }
  if (answer.status === 401) location.reload(); // the key has expired: the page asks for another
  if (answer.status === 204) return null;
  const document = await answer.json().catch(() => ({ detail: `The service answered ${answer.status}.` }));
  if (!answer.ok) throw new Refusal(document);
  return document;
}

let fading;

/** Say something at the bottom of the page, for a while. */
export function notice(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => (place.textContent = ""), 12000);
}
