// Searching the conversations on the server, as one types.
import { signal } from "@preact/signals";
import * as api from "../api.js";

/** @import {Conversation} from "../types.js" */

const PAGE = 50;

export const query = signal("");
/** @type {import("@preact/signals").Signal<Conversation[]>} */
export const found = signal([]);
/** @type {import("@preact/signals").Signal<string|null>} */
export const foundNext = signal(null);
/** What `found` is about is on show: "idle", "searching", "done" or "failed". */
export const searchState = signal(/** @type {"idle"|"searching"|"done"|"failed"} */ ("idle"));

/** @type {AbortController|null} */
let asking = null;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let waiting;

/** @param {string} text  empty leaves the search */
export function search(text) {
  query.value = text;
  asking?.abort();
  clearTimeout(waiting);
  if (text.trim()) {
    searchState.value = "searching";
    waiting = setTimeout(() => ask(text.trim(), null), 120);
    return;
  }
  searchState.value = "idle";
  found.value = [];
  foundNext.value = null;
}

let loadingMore = false;
export async function moreFound() {
  if (loadingMore || !foundNext.value) return;
  loadingMore = true;
  await ask(query.value.trim(), foundNext.value);
  loadingMore = false;
}

/** @param {string} q @param {string|null} cursor */
async function ask(q, cursor) {
  asking = new AbortController();
  const { signal: mine } = asking;
  try {
    const page = await api.conversations({ q, limit: PAGE, cursor }, mine);
    if (mine.aborted) return;
    found.value = cursor ? [...found.value, ...page.data] : page.data;
    foundNext.value = page.next;
    searchState.value = "done";
  } catch (error) {
    if (!mine.aborted && !(error instanceof api.ApiError)) throw error;
    if (!mine.aborted) searchState.value = "failed";
  }
}

/** The first few conversations about `q`, for the command palette. @param {string} q @param {AbortSignal} signal @returns {Promise<Conversation[]>} */
export async function glance(q, signal) {
  return (await api.conversations({ q: q || undefined, limit: 20 }, signal)).data;
}
