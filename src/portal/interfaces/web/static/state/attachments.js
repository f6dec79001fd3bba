// Files waiting in the composer: checked, previewed, uploaded with progress; for a temporary chat they stay here.
import { signal } from "@preact/signals";
import * as api from "../api.js";
import { isText } from "../text.js";
import { questionFiles } from "../turns.js";
import { chat, changeChat, endings, turns } from "./chat.js";
import { toast } from "./place.js";
import { temporaryLimit, uploadLimit } from "./session.js";
import { t } from "../strings.js";
import { bytes } from "../format.js";

/** @typedef {import("../types.js").Attachment} Attachment */

/** @type {import("@preact/signals").Signal<Attachment[]>} */
export const attachments = signal([]);
/** @type {Map<string, AbortController>} */
const uploads = new Map();
let count = 0;

/** What the server reads, beside text; the names are enough. */
const DOCUMENT = /\.(pdf|docx?|pptx?|xlsx?|od[tsp]|rtf|epub|eml|msg|zip)$/i;

const RECORDING = /\.(mp3|wav|ogg|oga|opus|m4a|flac|aac|mp4|m4v|mov|webm|mkv|avi)$/i;

/** Pictures, text, documents and recordings wait in the composer; the server would refuse anything else with the whole question. @param {Iterable<File>} files */
export async function attach(files) {
  const given = [...files];
  const before = endings.peek();
  const readable = await Promise.all(given.map(isReadable));
  if (endings.peek() !== before) return; // they were for a temporary chat that is gone
  for (const [index, file] of given.entries()) {
    if (!readable[index]) {
      toast(t("attach.refused", { name: file.name || "file" }));
      continue;
    }
    const image = isImage(file);
    /** @type {Attachment} */
    const made = {
      key: `file-${++count}`, name: file.name || "file", size: file.size, kind: image ? "image" : "file", file,
      preview: image ? URL.createObjectURL(file) : null, sent: 0, id: null, data: null, error: null,
    };
    if (file.size > uploadLimit.value) made.error = t("attach.tooBig", { limit: bytes(uploadLimit.value) });
    attachments.value = [...attachments.value, made];
    if (!made.error) bring(made);
  }
}

/** @param {File} file */
export const isReadable = async (file) => isImage(file) || isRecording(file) || DOCUMENT.test(file.name) || isText(file);
const isImage = (/** @type {File} */ file) => file.type.startsWith("image/");
const isRecording = (/** @type {File} */ file) => /^(audio|video)\//.test(file.type) || RECORDING.test(file.name);

/** Try a failed upload again. @param {string} key */
export function retryUpload(key) {
  const found = attachments.value.find((entry) => entry.key === key);
  if (!found) return;
  change(key, { error: null, sent: 0 });
  bring(found);
}

/** To the server, or where nothing is to be stored into the question itself. @param {Attachment} attachment */
const bring = (attachment) => (chat.peek().temporary ? inline(attachment) : upload(attachment));

/** Documents and recordings are read on the server. @param {Attachment} attachment */
async function inline({ key, file }) {
  if (!file) return;
  /** @param {Partial<Attachment>} changes */
  const end = (changes) => chat.peek().temporary && change(key, changes); // or else it goes to the server, or is gone
  const refusal = () => (room(key) < file.size ? t("attach.tooMuch", { limit: bytes(temporaryLimit.peek()) }) : null);
  const error = isImage(file) || (await isText(file)) ? refusal() : t("attach.temporary");
  if (error) return end({ error });
  const reader = new FileReader();
  reader.onload = () => {
    const error = refusal(); // others were read meanwhile
    end(error ? { error } : { data: String(reader.result), sent: file.size });
  };
  reader.onerror = () => end({ error: t("attach.unreadable") });
  reader.readAsDataURL(file);
}

/** How many bytes the temporary chat still takes, beside its other files that wait or were sent. @param {string} key */
function room(key) {
  const waiting = attachments.peek().map((entry) => (entry.key !== key && entry.data ? entry.size : 0));
  const sent = turns.peek().flatMap((turn) => questionFiles(turn.peek())).map((part) => ((part.image_url ?? part.file_data ?? "").length * 3) / 4);
  return [...waiting, ...sent].reduce((left, size) => left - size, temporaryLimit.peek());
}

/** Begin or give up a temporary chat before its first question: what waits stays here, or goes to the server. @param {boolean} temporary */
export function setTemporary(temporary) {
  changeChat({ temporary });
  for (const waiting of attachments.peek()) {
    if (!waiting.file || waiting.file.size > uploadLimit.peek()) continue;
    takeBack(waiting);
    change(waiting.key, { id: null, data: null, error: null, sent: 0 });
    bring(waiting);
  }
}

endings.subscribe(() => void takeAttachments());

/** Nothing of it stays on the server. @param {Attachment} attachment */
function takeBack({ key, id, file }) {
  uploads.get(key)?.abort();
  if (id && file) api.removeFile(id).catch(ignoreRefusal);
}

/** @param {unknown} error  it is among the person's files, where it can be deleted */
function ignoreRefusal(error) {
  if (!(error instanceof api.ApiError)) throw error;
}

/** @param {Attachment} attachment */
async function upload({ key, file }) {
  if (!file) return;
  const controller = new AbortController();
  uploads.set(key, controller);
  try {
    const stored = await api.upload(file, (sent) => change(key, { sent }), controller.signal);
    if (controller.signal.aborted) api.removeFile(stored.id).catch(ignoreRefusal);
    else change(key, { id: stored.id, sent: file.size });
  } catch (error) {
    if (error instanceof api.ApiError) change(key, { error: error.status ? error.message : t("error.unreachable") });
    else if (!(error instanceof DOMException)) throw error;
  } finally {
    if (uploads.get(key) === controller) uploads.delete(key);
  }
}

/** @param {string} key @param {Partial<Attachment>} changes */
function change(key, changes) {
  attachments.value = attachments.peek().map((entry) => (entry.key === key ? { ...entry, ...changes } : entry));
}

/** @param {string} key */
export function detach(key) {
  const gone = attachments.value.filter((entry) => entry.key === key);
  for (const entry of gone) takeBack(entry);
  release(gone);
  attachments.value = attachments.value.filter((entry) => entry.key !== key);
}

/** Hand the attachments over and empty the composer. @returns {Attachment[]} */
export function takeAttachments() {
  const taken = attachments.value;
  attachments.value = [];
  release(taken);
  return taken;
}

/** @param {Attachment[]} gone */
function release(gone) {
  for (const { preview } of gone) if (preview) URL.revokeObjectURL(preview);
}
