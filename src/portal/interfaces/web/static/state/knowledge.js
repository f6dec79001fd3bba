// What people do to collections and their documents, and files on their way into one.
// Loaded with those views, not at first.
import { computed, signal } from "@preact/signals";
import * as api from "../api.js";
import * as library from "../api/knowledge.js";
import { navigate } from "../router.js";
import { t } from "../strings.js";
import { bytes } from "../format.js";
import { attempt } from "./organise.js";
import { announce, toast } from "./place.js";
import { uploadLimit } from "./session.js";

/** @import {Collection, KnowledgeDocument, Sending} from "../types.js" */

const AT_ONCE = 3;

// ---- Collections ---------------------------------------------------------------------------------------------

/** Make one and go there. @param {string} name @returns {Promise<Collection|null>} null when refused */
export async function createCollection(name) {
  /** @type {Collection|null} */
  let made = null;
  await attempt(async () => {
    made = await library.createCollection(name);
    navigate(`/knowledge/${encodeURIComponent(made.id)}`);
  });
  return made;
}

/** @param {string} id @param {string} name */
export const renameCollection = (id, name) => attempt(() => library.changeCollection(id, { name }));

/** @param {Collection} one */
export async function removeCollection(one) {
  forgetSendings((each) => each.collection === one.id);
  const gone = await attempt(() => library.deleteCollection(one.id));
  if (gone) toast(t("knowledge.deleted", { name: one.name }));
  return gone;
}

/** @param {KnowledgeDocument} one */
export async function removeDocument(one) {
  const gone = await attempt(() => library.deleteFile(one.file_id));
  if (gone) toast(t("documents.removed", { name: one.filename }));
  return gone;
}

/** Read what failed once more: one, or all. @param {string} collection @param {string} [file_id] */
export const readAgain = (collection, file_id) => attempt(() => library.retry(collection, file_id));

// ---- Files on their way --------------------------------------------------------------------------------------

/** @type {import("@preact/signals").Signal<Sending[]>} */
export const sendings = signal([]);
export const isSending = computed(() => sendings.value.some(underWay));
/** @type {Map<string, AbortController>} */
const uploads = new Map();
let count = 0;

/** @param {Sending} each */
export const underWay = ({ state }) => state === "waiting" || state === "sending" || state === "adding";

/** @param {string} collection @param {{file: File, path: string}[]} given */
export function sendFiles(collection, given) {
  const tooBig = t("attach.tooBig", { limit: bytes(uploadLimit.value) });
  const made = given.map(({ file, path }) => {
    const refused = file.size > uploadLimit.value ? tooBig : null;
    return /** @type {Sending} */ ({ key: `sent-${++count}`, collection, file, name: file.name, path, state: refused ? "failed" : "waiting", sent: 0, id: null, error: refused });
  });
  sendings.value = [...sendings.value.filter((each) => (each.state !== "added" && each.state !== "known") || isSending.peek()), ...made];
  addEventListener("beforeunload", holdBack);
  pump();
}

/** A page that is closed now would lose what is not sent yet. @param {Event} event */
function holdBack(event) {
  if (isSending.peek()) event.preventDefault();
}

function pump() {
  const busy = sendings.value.filter((each) => each.state === "sending" || each.state === "adding").length;
  for (const each of sendings.value.filter(({ state }) => state === "waiting").slice(0, AT_ONCE - busy)) send(each);
  if (!isSending.peek()) {
    removeEventListener("beforeunload", holdBack);
    const [added, known] = ["added", "known"].map((wanted) => sendings.value.filter(({ state }) => state === wanted).length);
    if (added) announce(t("sending.done", { n: added }));
    if (known) toast(t("sending.known", { n: known }));
    sendings.value = sendings.value.filter(({ state }) => state === "failed");
  }
}

/** @param {Sending} each */
async function send({ key, file, path, collection }) {
  const controller = new AbortController();
  uploads.set(key, controller);
  change(key, { state: "sending", sent: 0, error: null });
  let told = 0;
  const progress = (/** @type {number} */ sent) => {
    if (sent - told > file.size / 20) change(key, { sent: (told = sent) });
  };
  try {
    const { id } = await api.upload(file, progress, controller.signal);
    change(key, { state: "adding", sent: file.size, id });
    const { known } = await library.addDocument(collection, { file_id: id, ...(path ? { attributes: { path: path.slice(-512) } } : {}) });
    change(key, { state: known ? "known" : "added" });
  } catch (error) {
    if (error instanceof api.ApiError) change(key, { state: "failed", error: error.status ? error.message : t("error.unreachable") });
    else if (!(error instanceof DOMException)) throw error;
  } finally {
    uploads.delete(key);
    pump();
  }
}

/** @param {string} key @param {Partial<Sending>} changes */
function change(key, changes) {
  sendings.value = sendings.value.map((each) => (each.key === key ? { ...each, ...changes } : each));
}

/** Send what failed once more. @param {string} [key]  one of them */
export function sendAgain(key) {
  for (const each of sendings.value) if (each.state === "failed" && (!key || each.key === key)) change(each.key, { state: "waiting", error: null });
  pump();
}

/** Let files be, those under way included. @param {(each: Sending) => boolean} which */
export function forgetSendings(which) {
  for (const each of sendings.value.filter(which)) uploads.get(each.key)?.abort();
  sendings.value = sendings.value.filter((each) => !which(each));
}
