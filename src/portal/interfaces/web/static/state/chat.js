// The conversation on show: its turns (newest last, older pages on demand), streaming and re-attaching.
import { batch, computed, signal } from "@preact/signals";
import * as api from "../api.js";
import { isRunning, storedTurn } from "../turns.js";
import { keepConversation } from "./conversations.js";
import { follow, leave } from "./following.js";

/** @typedef {import("../types.js").Turn} Turn */
/** @typedef {import("@preact/signals").Signal<Turn>} TurnSignal */
/**
 * @typedef {{
 *   id: string|null, status: "new"|"loading"|"ready"|"missing"|"broken", title: string, model: string|null,
 *   folder: string|null, temporary: boolean, collections: string[]|null,
 * }} Chat
 */

const PAGE = 30;
/** @returns {Chat} */
const blank = () => ({ id: null, status: "new", title: "", model: null, folder: null, temporary: false, collections: null });

/** @type {import("@preact/signals").Signal<Chat>} */
export const chat = signal(blank());
/** @type {import("@preact/signals").Signal<TurnSignal[]>} */
export const turns = signal([]);
/** Where the page of older turns begins; null when everything is here. @type {import("@preact/signals").Signal<string|null>} */
export const olderTurns = signal(null);
export const lastTurn = computed(() => turns.value.at(-1)?.value ?? null);
/** Counts the times at which the reader belongs at the newest turn: a conversation opened, a question sent. */
export const arrivals = signal(0);
export const arrive = () => void (arrivals.value += 1);
/** Counts the temporary conversations that were left: what was written and attached there ends with them. */
export const endings = signal(0);

/** The turn under way, if any: only the newest can be. Changes when it begins and ends, not as it grows. */
export const running = computed(() => {
  const newest = turns.value.at(-1);
  return newest && isRunning(newest.value) ? newest : null;
});

/** @param {Partial<Chat>} changes */
export const changeChat = (changes) => void (chat.value = { ...chat.value, ...changes });

/** Show an empty conversation. @param {Partial<Chat>} [changes] */
export function newChat(changes = {}) {
  leave();
  batch(() => {
    if (chat.value.temporary) endings.value += 1;
    chat.value = { ...blank(), ...changes };
    turns.value = [];
    olderTurns.value = null;
  });
}

/** A temporary conversation has the address of a new one: whoever goes there wants another. @param {Partial<Chat>} changes */
export function leaveTemporary(changes) {
  if (chat.value.temporary) newChat(changes);
}

let outdated = false; // the conversation changed while it was being read
/** Show a stored conversation. @param {string} id */
export async function openChat(id) {
  if (chat.value.id === id && chat.value.status === "ready") return;
  outdated = false;
  newChat({ id, status: "loading" });
  try {
    const [about, page] = await Promise.all([api.conversation(id), api.turns(id, { limit: PAGE })]);
    if (chat.value.id !== id) return;
    if (outdated) return openChat(id);
    batch(() => {
      changeChat({ status: "ready", title: about.title, model: about.model, folder: about.folder_id });
      show(page);
      arrive();
    });
    keepConversation(about);
  } catch (error) {
    if (chat.value.id !== id) return;
    if (!(error instanceof api.ApiError)) throw error;
    changeChat({ status: error.status === 404 ? "missing" : "broken" });
  }
}

/** Read the conversation again from the server, as after a failed load or another branch. */
export async function reopenChat() {
  const { id } = chat.value;
  if (!id) return;
  changeChat({ status: "loading" });
  await openChat(id);
}

/** @param {{data: import("../types.js").TurnView[], next: string|null}} page */
function show(page) {
  leave();
  turns.value = withUnsent(page.data.map((view) => signal(storedTurn(view))));
  olderTurns.value = page.next;
  for (const turn of turns.value) if (isRunning(turn.value) && turn.value.id !== null) follow(turn);
}

let loadingOlder = false;
/** Load the page before the oldest turn on show; does nothing at the beginning. */
export async function loadOlder() {
  const { id } = chat.value;
  if (loadingOlder || !id || !olderTurns.value) return;
  loadingOlder = true;
  try {
    const page = await api.turns(id, { before: olderTurns.value, limit: PAGE });
    if (chat.value.id !== id) return;
    batch(() => {
      turns.value = [...page.data.map((/** @type {any} */ view) => signal(storedTurn(view))), ...turns.value];
      olderTurns.value = page.next;
    });
  } finally {
    loadingOlder = false;
  }
}

/**
 * The newest turns being read: of which conversation, and the reading after it, for those who asked since it began.
 * @type {{id: string, done: Promise<void>, next: Promise<void>|null}|null}
 */
let reading = null;
/**
 * The newest turns from the server, merged into what is shown; turns that go on elsewhere are followed. One reading at a
 * time: however many ask meanwhile, one more tells them all.
 * @param {boolean} [changed]  whether there are others for sure @returns {Promise<void>}
 */
export async function catchUp(changed = false) {
  const { id, status } = chat.value;
  if (changed && status === "loading") outdated = true;
  if (!id || status !== "ready" || sendingNow()) return;
  const again = () => catchUp();
  if (reading?.id === id) return (reading.next ??= reading.done.then(again, again));
  const ended = () => void (reading === mine && (reading = null));
  const mine = { id, done: readNewest(id).finally(ended), next: null };
  reading = mine;
  return mine.done;
}

/** @param {string} id @returns {Promise<void>} */
async function readNewest(id) {
  const shown = turns.value;
  const page = await api.turns(id, { limit: PAGE });
  if (chat.value.id !== id || chat.value.status !== "ready" || sendingNow()) return;
  if (turns.value !== shown) return readNewest(id); // a question sent meanwhile may not be on that page yet
  const known = new Map(turns.value.map((turn) => [turn.value.id, turn]));
  const first = turns.value.findIndex((turn) => turn.value.id === page.data[0]?.response.id);
  if (first < 0 && turns.value.length) return show(page);
  batch(() => {
    const merged = page.data.map((/** @type {any} */ view) => merge(known.get(view.response.id), view));
    turns.value = withUnsent([...turns.value.slice(0, Math.max(first, 0)), ...merged]);
    if (first < 0) olderTurns.value = page.next;
  });
}

/**
 * The turns that the server has, and the question it never got: after them, or in the place of the one it is to replace.
 * @param {TurnSignal[]} stored @returns {TurnSignal[]}
 */
function withUnsent(stored) {
  const unsent = turns.value.filter((turn) => turn.value.id === null);
  const [first] = unsent;
  if (!first) return stored;
  const replaced = stored.findIndex((turn) => first.value.siblings.includes(turn.value.id ?? ""));
  const before = replaced < 0 ? stored : stored.slice(0, replaced);
  if (replaced < 0) for (const turn of unsent) turn.value = { ...turn.value, previous: before.at(-1)?.value.id ?? null };
  return [...before, ...unsent];
}

/** A turn without an id is on its way to the server: what the server has is older than what we show. */
const sendingNow = () => running.value !== null && running.value.value.id === null;

/** @param {TurnSignal|undefined} turn @param {import("../types.js").TurnView} view @returns {TurnSignal} */
function merge(turn, view) {
  const fresh = storedTurn(view);
  if (!turn) {
    const made = signal(fresh);
    if (isRunning(fresh)) follow(made);
    return made;
  }
  const old = turn.value;
  if (isRunning(old) && old.connection) turn.value = { ...old, siblings: fresh.siblings };
  else if (old.status !== fresh.status || old.siblings.length !== fresh.siblings.length || old.feedback !== fresh.feedback) {
    turn.value = { ...fresh, key: old.key, thinking: old.thinking, tools: old.tools };
    if (isRunning(fresh)) follow(turn);
  }
  return turn;
}

/** @param {import("../types.js").Conversation} changed */
export function renameChat(changed) {
  if (chat.value.id === changed.id) changeChat({ title: changed.title, folder: changed.folder_id });
}

/** @param {string[]} ids */
export function forgetChat(ids) {
  if (chat.value.id && ids.includes(chat.value.id)) {
    leave();
    changeChat({ status: "missing" });
  }
}
