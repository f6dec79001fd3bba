// What changed on the server (other tabs, other devices, titles, pulls): listens, and brings the state up to date.
import { signal } from "@preact/signals";
import * as api from "../api.js";
import { chat, catchUp, forgetChat, renameChat } from "./chat.js";
import { dropConversations, keepConversation, loadConversations, loadFolders } from "./conversations.js";
import { approvalChanged, loadApprovals, toolsChanged } from "./approvals.js";
import { loadModels } from "./models.js";
import { activityChanged, channelsChanged, healthChanged, importChanged, knowledgeChanged, memoryChanged } from "./news.js";
import { loadWorkspaces } from "./workspaces.js";
import { loadSession, session, signedOut } from "./session.js";
import { pause } from "../wait.js";

/** Pull and build progress by id, newest state only. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const progressById = signal({});
/** False while the page cannot reach the server. */
export const online = signal(true);

/** @type {Record<string, (event: any) => unknown>} */
const HANDLERS = {
  "conversation.changed": conversationChanged,
  "conversation.deleted": (event) => {
    const ids = event.ids ?? [event.id];
    dropConversations(ids);
    forgetChat(ids);
  },
  "models.changed": () => Promise.all([loadModels(), loadWorkspaces()]),
  "workspaces.changed": loadWorkspaces,
  "folder.changed": loadFolders,
  "approvals.changed": approvalChanged,
  "grants.changed": toolsChanged,
  "tools.changed": toolsChanged,
  "knowledge.changed": knowledgeChanged,
  "embedder.changed": knowledgeChanged,
  "memory.changed": memoryChanged,
  "import.changed": (event) => {
    importChanged(event);
    return event.status === "done" && Promise.all([loadConversations(), loadFolders()]);
  },
  "import.deleted": importChanged,
  "schedules.changed": schedulesChanged,
  "channels.changed": channelsChanged,
  "activity.changed": activityChanged,
  "health.changed": healthChanged,
  "pull.progress": (event) => (progressById.value = { ...progressById.value, [event.id]: event }),
  "embedded.progress": (event) => (progressById.value = { ...progressById.value, embedded: event }),
};

/** @param {any} event */
async function schedulesChanged(event) {
  (await import("./schedules.js")).schedulesChanged(event);
}

/** @param {any} event */
async function conversationChanged(event) {
  const id = event.id ?? event.conversation_id ?? event.conversation?.id;
  const changed = event.conversation ?? (await api.conversation(id));
  keepConversation(changed);
  renameChat(changed);
  if (chat.value.id === id) await catchUp(true);
}

/**
 * Load everything, then listen for as long as the page lives; after a break, load again what may have been missed.
 * A tab that is out of sight lets go of its connection: a browser has only six for one server, over all its tabs.
 */
export async function followChanges() {
  let waited = 500;
  while (session.value !== "out") {
    await inSight();
    const hidden = whenHidden(HIDDEN_FOR);
    try {
      for await (const event of api.changes(hidden.signal, reload)) {
        waited = 500;
        await handle(event);
      }
    } catch (error) {
      if (error instanceof api.ApiError) lost(error);
      else if (!hidden.signal.aborted) throw error;
    } finally {
      hidden.forget();
    }
    if (hidden.signal.aborted) continue;
    await pause(waited);
    waited = Math.min(waited * 2, 15_000);
  }
}

/** @param {api.ApiError} error */
function lost(error) {
  if (error.status === 401) signedOut();
  else online.value = false;
}

const HIDDEN_FOR = 20_000; // milliseconds out of sight after which a tab lets go

/** Resolves while the tab can be seen. @returns {Promise<void>} */
function inSight() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => resolve(inSight()), { once: true });
  });
}

/** A signal that aborts when the tab has been out of sight for so long. @param {number} milliseconds */
function whenHidden(milliseconds) {
  const controller = new AbortController();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  const changed = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => controller.abort(), milliseconds);
  };
  document.addEventListener("visibilitychange", changed);
  const forget = () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", changed);
  };
  return { signal: controller.signal, forget };
}

/** @param {any} event */
async function handle(event) {
  try {
    await HANDLERS[event.type]?.(event);
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error; // one failed refresh must not end the listening
  }
}

async function reload() {
  try {
    await Promise.all([loadConversations(), loadFolders(), loadModels(), loadWorkspaces(), loadApprovals(), session.value === "away" ? loadSession() : null, catchUp()]);
    online.value = true;
    knowledgeChanged({});
    memoryChanged({});
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    lost(error);
  }
}
