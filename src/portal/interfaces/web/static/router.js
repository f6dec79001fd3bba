// Addresses to routes and back. Every view has its own address; the server answers each with index.html.
import { leaveTemporary, setRoute } from "./state.js";

/** @type {[RegExp, string, ("id"|"section")[]][]} */
const ROUTES = [
  [/^\/$/, "chat", []],
  [/^\/c\/([^/]+)$/, "chat", ["id"]],
  [/^\/folders\/([^/]+)$/, "folder", ["id"]],
  [/^\/knowledge(?:\/([^/]+))?$/, "knowledge", ["id"]],
  [/^\/documents\/([^/]+)$/, "document", ["id"]],
  [/^\/memory$/, "memory", []],
  [/^\/models$/, "models", []],
  [/^\/workspaces(?:\/([^/]+))?$/, "workspaces", ["id"]],
  [/^\/approvals$/, "approvals", []],
  [/^\/schedules(?:\/([^/]+))?$/, "schedules", ["id"]],
  [/^\/gallery(?:\/([^/]+))?$/, "gallery", ["id"]],
  [/^\/tools$/, "tools", []],
  [/^\/skills$/, "skills", []],
  [/^\/activity(?:\/([^/]+))?$/, "activity", ["section"]],
  [/^\/settings(?:\/([^/]+))?$/, "settings", ["section"]],
  [/^\/welcome$/, "welcome", []],
  [/^\/manual(?:\/([^/]+))?$/, "manual", ["id"]],
  [/^\/sign-in$/, "signin", []],
];

/**
 * @param {string} pathname
 * @param {string} [hash]
 * @param {string} [search]
 * @returns {import("./types.js").Route}
 */
export function parse(pathname, hash = "", search = "") {
  const path = pathname.length > 1 ? pathname.replace(/\/+$/, "") || "/" : pathname;
  const route = { id: null, section: null, path, hash: hash.replace(/^#/, ""), query: new URLSearchParams(search) };
  for (const [pattern, name, groups] of ROUTES) {
    const match = pattern.exec(path);
    if (!match) continue;
    const found = groups.map((group, index) => [group, match[index + 1] ? decode(match[index + 1]) : null]);
    return { ...route, name, ...Object.fromEntries(found) };
  }
  return { ...route, name: "lost" };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a malformed escape is shown as it is
  }
}

/** @param {string} id */
export const conversationPath = (id) => `/c/${encodeURIComponent(id)}`;

/**
 * Go to an address of the page.
 * @param {string} address
 * @param {{replace?: boolean}} [options]
 */
export function navigate(address, { replace = false } = {}) {
  const url = new URL(address, location.origin);
  const again = url.pathname === "/" && location.pathname === "/";
  if (url.href !== location.href && replace) history.replaceState(history.state, "", url);
  else if (url.href !== location.href) history.pushState({ within: true }, "", url);
  arrive();
  if (again) leaveTemporary({ folder: url.searchParams.get("folder"), model: url.searchParams.get("model") });
}

function arrive() {
  setRoute(parse(location.pathname, location.hash, location.search));
}

/** Follow the address bar, the back button and plain clicks on our own links. */
export function startRouter() {
  addEventListener("popstate", arrive);
  document.addEventListener("click", followLink);
  arrive();
}

/** @param {MouseEvent} event */
function followLink(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = /** @type {Element} */ (event.target).closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
  if (link.origin !== location.origin || parse(link.pathname).name === "lost") return;
  if (link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  navigate(link.href);
}
