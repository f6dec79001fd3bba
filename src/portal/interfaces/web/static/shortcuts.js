// Keys that work everywhere on the page, and how keys are shown.
import { html } from "htm/preact";
import { closeInspector, compact, inspector, openDrawer, openOverlay, overlay, session, setRailOpen } from "./state.js";
import { navigate } from "./router.js";

const mac = /Mac|iPhone|iPad/.test(navigator.platform);
const command = mac ? "⌘" : "Ctrl";

/** @type {Record<"palette"|"newChat"|"search"|"help", string[]>} */
export const KEYS = {
  palette: [command, "K"],
  newChat: [command, "Shift", "O"],
  search: ["/"],
  help: ["?"],
};

/** What takes Esc before the pane at the side. */
const OPEN = "dialog[open], [role=menu], [role=listbox]";

export function startShortcuts() {
  document.addEventListener("keydown", pressed);
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.defaultPrevented || event.altKey || session.value !== "in") return;
  const chord = mac ? event.metaKey : event.ctrlKey;
  const key = event.key.toLowerCase();
  if (chord && key === "k" && !event.shiftKey) openOverlay({ kind: "palette" });
  else if (chord && event.shiftKey && key === "o") navigate("/");
  else if (!chord && !writing(event.target) && !overlay.value && key === "?") openOverlay({ kind: "keys" });
  else if (!chord && !writing(event.target) && !overlay.value && key === "/") focusSearch();
  else if (key === "escape" && inspector.value && !document.querySelector(OPEN)) closeInspector();
  else return;
  event.preventDefault();
}

/** @param {EventTarget|null} target */
const writing = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Put the cursor into the search field, showing the list first. */
export function focusSearch() {
  if (compact.value) openDrawer(true);
  else setRailOpen(true);
  focusWhenShown("rail-search", 30);
}

/** A drawer takes the focus when it opens: wait for that. @param {string} id @param {number} frames  how long at most */
function focusWhenShown(id, frames) {
  const field = document.getElementById(id);
  field?.focus();
  const settled = field && document.activeElement === field && field.closest("dialog")?.open !== false;
  if (!settled && frames) requestAnimationFrame(() => focusWhenShown(id, frames - 1));
}

/** @param {{keys: string[]}} props */
export function Keys({ keys }) {
  return html`<span class="keys">${keys.map((key) => html`<kbd key=${key}>${key}</kbd>`)}</span>`;
}
