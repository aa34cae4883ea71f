/** Parts of a page that the server sends again when they change, put in place without disturbing who is at work there. */

const AGAIN_SECONDS = 3;

/** Replace what differs between two elements, child by child where they have ids; focus and ticks stay. */
export function patch(old, fresh) {
  if (old.isEqualNode(fresh) || "own" in old.dataset) return; // what the page itself has put there stays
  const same = (a, b) => a.nodeName === b.nodeName && a.id === b.id;
  const children = [...old.children], others = [...fresh.children];
  const structural = ["DIV", "TABLE", "TBODY", "SECTION"].includes(old.nodeName);
  if (structural && children.length === others.length && children.every((child, i) => same(child, others[i]))) {
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children.forEach((child, i) => patch(child, others[i]));
    return;
  }
  if (old.nodeName === "TBODY") {
    rows(old, fresh);
    return;
  }
  replace(old, fresh);
}

function rows(old, fresh) {
  if (![...old.children, ...fresh.children].every((row) => row.id)) {
    replace(old, fresh);
    return;
  }
  const known = new Map([...old.children].map((row) => [row.id, row]));
  for (const row of [...fresh.children]) {
    const before = known.get(row.id);
    if (before && before.isEqualNode(row)) old.append(before);
    else if (before) (old.append(before), replace(before, row));
    else old.append(row);
    known.delete(row.id);
  }
  known.forEach((row) => row.remove());
}

function replace(old, fresh) {
  const ticked = [...old.querySelectorAll("input:checked")].map((input) => input.value);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const label = focused?.getAttribute("aria-label") ?? focused?.getAttribute("href");
  for (const input of fresh.querySelectorAll("input")) input.checked ||= ticked.includes(input.value);
  old.replaceWith(fresh);
  if (label) [...fresh.querySelectorAll("a, button, input")].find((it) => (it.getAttribute("aria-label") ?? it.getAttribute("href")) === label)?.focus();
}

/** Return the elements that `html` describes. */
export function elements(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content;
}

/** Keep `place` as the server has it, which sends it as events from the page's own address. */
export function live(place, connection) {
  const source = new EventSource(location.href);
  source.addEventListener("open", () => says(connection, ""));
  source.addEventListener("part", (event) => {
    const fresh = place.cloneNode(false);
    fresh.append(elements(JSON.parse(event.data)));
    patch(place, fresh);
  });
  source.addEventListener("error", () => {
    says(connection, "The connection is lost; trying again …", true);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => live(place, connection), 1000 * AGAIN_SECONDS);
  });
  addEventListener("pagehide", () => source.close());
}

/** Say how the connection is. */
export function says(connection, text, lost = false) {
  connection.textContent = text;
  connection.classList.toggle("lost", lost);
}
