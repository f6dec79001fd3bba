// Where the person is: route, room on the screen, rail, inspector, toasts, spoken announcements.
import { computed, signal } from "@preact/signals";

/** @type {import("@preact/signals").Signal<import("../types.js").Route>} */
export const route = signal({ name: "chat", id: null, section: null, path: "/", hash: "", query: new URLSearchParams() });

/** @param {import("../types.js").Route} next */
export function setRoute(next) {
  const moved = next.path !== route.value.path;
  route.value = next;
  if (!moved) return;
  drawer.value = false;
  if (roomy.value !== true) inspector.value = null;
}

/** @param {string} query @returns {import("@preact/signals").Signal<boolean>} */
function media(query) {
  const list = matchMedia(query);
  const matches = signal(list.matches);
  list.addEventListener("change", () => (matches.value = list.matches));
  return matches;
}

/** The rail is a drawer. */
export const compact = media("(max-width: 860px)");
/** The inspector fits beside the conversation. */
export const roomy = media("(min-width: 1180px)");

export const drawer = signal(false);
/** @param {boolean} open */
export const openDrawer = (open) => void (drawer.value = open);

export const railOpen = signal(localStorage.getItem("portal:rail") !== "closed");
/** @param {boolean} open */
export function setRailOpen(open) {
  railOpen.value = open;
  localStorage.setItem("portal:rail", open ? "open" : "closed");
}

/**
 * What the inspector shows: `kind` names a component in inspector.js, the rest is its own.
 * @type {import("@preact/signals").Signal<({kind: string} & Record<string, any>) | null>}
 */
export const inspector = signal(null);
/** Where the focus was when it opened, and goes back to. @type {Element|null} */
let opener = null;
/** @param {{kind: string} & Record<string, any>} content */
export function inspect(content) {
  opener = document.activeElement;
  inspector.value = content;
}
export function closeInspector() {
  inspector.value = null;
  if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
}

/** @typedef {{id: number, text: string, action: string|null, run: (() => unknown)|null}} Toast */
/** @type {import("@preact/signals").Signal<Toast[]>} */
export const toasts = signal([]);
let toastCount = 0;

/**
 * A passing message with at most one action, such as undo. Stays 8 s (longer with an action), or until dismissed.
 * @param {string} text
 * @param {{action?: string, run?: () => unknown}} [options]
 */
export function toast(text, { action, run } = {}) {
  const made = { id: ++toastCount, text, action: action ?? null, run: run ?? null };
  toasts.value = [...toasts.value.slice(-2), made];
  setTimeout(() => dismissToast(made.id), run ? 12_000 : 8_000);
}

/** @param {number} id */
export function dismissToast(id) {
  toasts.value = toasts.value.filter((entry) => entry.id !== id);
}

/** What a screen reader is told next. */
export const announcement = signal("");
/** @param {string} text */
export function announce(text) {
  announcement.value = announcement.value === text ? `${text}\u00a0` : text;
}

/** One clock for everything that counts seconds; ticks only while something does. */
export const clock = signal(Date.now());
let watchers = 0;
/** @type {ReturnType<typeof setInterval>|undefined} */
let ticking;

/** Keep `clock` ticking until the returned function is called. */
export function watchClock() {
  if (watchers++ === 0) ticking = setInterval(() => (clock.value = Date.now()), 1000);
  clock.value = Date.now();
  return () => {
    if (--watchers === 0) clearInterval(ticking);
  };
}

/** The inspector stands beside the conversation, rather than over it. */
export const inspectorBeside = computed(() => roomy.value && !compact.value);
