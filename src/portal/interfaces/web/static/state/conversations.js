// The list of conversations, pinned first, then newest first, page by page; and the folders.
import { signal } from "@preact/signals";
import * as api from "../api.js";

/** @import {Conversation} from "../types.js" */

const PAGE = 100;

/** @type {import("@preact/signals").Signal<Conversation[]>} */
export const conversations = signal([]);
/** Cursor of the next page; null at the end. @type {import("@preact/signals").Signal<string|null>} */
export const conversationsNext = signal(null);
export const conversationsLoaded = signal(false);
/** @type {import("@preact/signals").Signal<import("../types.js").Folder[]>} */
export const folders = signal([]);

/** Which ids the list holds, so that 100,000 of them are never searched one by one. @type {Set<string>} */
let known = new Set();

/** The order of the list. @param {Conversation} a @param {Conversation} b */
export const byPlace = (a, b) => Number(b.pinned) - Number(a.pinned) || b.updated_at - a.updated_at || (a.id < b.id ? 1 : -1);

/** @param {Conversation[]} list @param {string|null} [next] */
function put(list, next = conversationsNext.value) {
  known = new Set(list.map((entry) => entry.id));
  conversationsNext.value = next;
  conversations.value = list;
}

/** Load the first page, or renew it under a list that was scrolled further. */
export async function loadConversations() {
  const page = await api.conversations({ limit: PAGE });
  const last = page.data.at(-1);
  const fresh = new Set(page.data.map((/** @type {Conversation} */ entry) => entry.id));
  const below = page.next && last ? conversations.value.filter((entry) => !fresh.has(entry.id) && byPlace(last, entry) < 0) : [];
  put([...page.data, ...below], below.length ? conversationsNext.value : page.next);
  conversationsLoaded.value = true;
}

let loadingMore = false;
export async function loadMoreConversations() {
  if (loadingMore || !conversationsNext.value) return;
  loadingMore = true;
  try {
    const page = await api.conversations({ limit: PAGE, cursor: conversationsNext.value });
    const added = page.data.filter((/** @type {Conversation} */ entry) => !known.has(entry.id));
    for (const { id } of added) known.add(id);
    conversationsNext.value = page.next;
    conversations.value = conversations.value.concat(added);
  } finally {
    loadingMore = false;
  }
}

/** Put a conversation into the list or renew it there. @param {Conversation} changed */
export function keepConversation(changed) {
  const others = known.has(changed.id) ? conversations.value.filter((entry) => entry.id !== changed.id) : conversations.value;
  const at = placeOf(changed, others);
  if (at === others.length && conversationsNext.value) put(others); // it comes with the page it belongs to
  else put(others.toSpliced(at, 0, changed));
}

/** @param {Conversation} wanted @param {Conversation[]} list  in order */
function placeOf(wanted, list) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (byPlace(list[middle], wanted) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {string[]} ids */
export function dropConversations(ids) {
  if (!ids.some((id) => known.has(id))) return;
  const gone = new Set(ids);
  put(conversations.value.filter((entry) => !gone.has(entry.id)));
}

/** @param {string|null|undefined} id  as far as the list has been loaded */
export const listedConversation = (id) => (id && known.has(id) ? conversations.value.find((entry) => entry.id === id) ?? null : null);

export async function loadFolders() {
  folders.value = (await api.folders()).data;
}

/** @param {string|null|undefined} id */
export const findFolder = (id) => folders.value.find((folder) => folder.id === id) ?? null;
