// What a person does to conversations and folders in the list: rename, pin, move, delete with undo, several at once.
import { signal } from "@preact/signals";
import * as api from "../api.js";
import { navigate } from "../router.js";
import { t } from "../strings.js";
import { chat } from "./chat.js";
import { conversations, dropConversations, findFolder, keepConversation, listedConversation, loadFolders } from "./conversations.js";
import { route, toast } from "./place.js";
import { found } from "./search.js";
import { signedOut } from "./session.js";

/** @import {Conversation} from "../types.js" */

/** The conversation whose title is being edited in place. @type {import("@preact/signals").Signal<string|null>} */
export const renaming = signal(null);
/** @param {string|null} id */
export const startRenaming = (id) => void (renaming.value = id);

/**
 * The dialog over the page, if any: `kind` names a component in overlays.js, the rest is its own.
 * @type {import("@preact/signals").Signal<({kind: string} & Record<string, any>) | null>}
 */
export const overlay = signal(null);
/** @param {{kind: string} & Record<string, any>} content */
export const openOverlay = (content) => void (overlay.value = content);
export const closeOverlay = () => void (overlay.value = null);

/** Null while nothing is being selected. @type {import("@preact/signals").Signal<Set<string>|null>} */
export const selection = signal(null);
/** @type {string|null} */
let anchor = null;

/** Begin to select, with these already chosen. @param {string[]} [ids] */
export function startSelecting(ids = []) {
  selection.value = new Set(ids);
  anchor = ids.at(-1) ?? null;
}
export const stopSelecting = () => void (selection.value = null);

/**
 * Select or deselect one; with `range`, everything from the last one chosen up to it.
 * @param {string} id
 * @param {{range?: boolean, order?: Conversation[]}} [options]  `order` is the list as the person sees it
 */
export function toggleSelected(id, { range = false, order = conversations.value } = {}) {
  const next = new Set(selection.value ?? []);
  if (range && anchor) {
    const [from, to] = [anchor, id].map((each) => order.findIndex((entry) => entry.id === each)).sort((a, b) => a - b);
    for (const entry of order.slice(Math.max(from, 0), to + 1)) next.add(entry.id);
  } else if (!next.delete(id)) next.add(id);
  anchor = id;
  selection.value = next;
}

/** Run a change; a refusal is told in a toast. True when it was done. @param {() => Promise<unknown>} change */
export async function attempt(change) {
  try {
    await change();
    return true;
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    if (error.status === 401) signedOut();
    else toast(error.status ? error.message : t("error.unreachable"));
    return false;
  }
}

/** @param {string} id @param {Parameters<typeof api.changeConversation>[1]} fields */
const change = (id, fields) => attempt(async () => keepConversation(await api.changeConversation(id, fields)));

/** @param {string} id @param {string} title */
export async function rename(id, title) {
  renaming.value = null;
  const wanted = title.trim().slice(0, 300);
  if (wanted && wanted !== listedConversation(id)?.title) await change(id, { title: wanted });
}

/** @param {string[]} ids @param {boolean} pinned */
export async function pin(ids, pinned) {
  for (const id of ids) if (!(await change(id, { pinned }))) return;
  stopSelecting();
}

/** @param {string[]} ids @param {string|null} folder  null is outside any folder */
export async function move(ids, folder) {
  const before = lookUp(ids);
  if (!(await attempt(() => inHundreds(ids, (some) => api.moveConversations(some, folder))))) return;
  for (const entry of before) keepConversation({ ...entry, folder_id: folder });
  stopSelecting();
  const name = findFolder(folder)?.name;
  toast(name ? t("rail.moved", { n: ids.length, name }) : t("rail.movedOut", { n: ids.length }));
}

/** Delete at once; a toast offers to undo. @param {string[]} ids */
export async function remove(ids) {
  const gone = lookUp(ids);
  const shown = chat.value.id && ids.includes(chat.value.id) ? route.value.path : null;
  if (!(await attempt(() => inHundreds(ids, api.deleteConversations)))) return;
  stopSelecting();
  dropConversations(ids);
  if (shown?.startsWith("/c/")) navigate("/");
  const undo = async () => {
    if (!(await attempt(() => inHundreds(ids, api.restoreConversations)))) return;
    for (const entry of gone) keepConversation(entry);
    if (shown) navigate(shown);
  };
  toast(t("rail.deleted", { n: ids.length }), { action: t("common.undo"), run: undo });
}

/** @param {string[]} ids @returns {Conversation[]} */
function lookUp(ids) {
  const wanted = new Set(ids);
  const listed = conversations.value.filter((entry) => wanted.delete(entry.id));
  return [...listed, ...found.value.filter((entry) => wanted.has(entry.id))];
}

/** The server takes up to a thousand at a time. @param {string[]} ids @param {(some: string[]) => Promise<unknown>} work */
async function inHundreds(ids, work) {
  for (let from = 0; from < ids.length; from += 500) await work(ids.slice(from, from + 500));
}

// ---- Folders -------------------------------------------------------------------------------------------------

/** @param {string} name @returns {Promise<string|null>} its id, null when refused */
export async function createFolder(name) {
  let id = null;
  await attempt(async () => {
    id = (await api.createFolder({ name: name.trim().slice(0, 200) })).id;
    await loadFolders();
  });
  return id;
}

/** @param {import("../types.js").Folder} folder @param {Partial<import("../types.js").Folder>} changes */
export function changeFolder(folder, changes) {
  const { name, instructions, model, file_ids } = { ...folder, ...changes };
  return attempt(async () => {
    await api.changeFolder(folder.id, { name, instructions, model, file_ids });
    await loadFolders();
  });
}

/** Its conversations stay, outside any folder. @param {string} id */
export async function deleteFolder(id) {
  const inside = conversations.value.filter((entry) => entry.folder_id === id).map((entry) => entry.id);
  const was = findFolder(id);
  if (!was || !(await attempt(() => api.deleteFolder(id)))) return;
  await attempt(loadFolders);
  conversations.value = conversations.value.map((entry) => (entry.folder_id === id ? { ...entry, folder_id: null } : entry));
  if (route.value.name === "folder" && route.value.id === id) navigate("/");
  toast(t("folder.deleted", { name: was.name, n: inside.length }));
}
