// What is being written, kept in this browser per conversation until the server has the question.
const key = (/** @type {string|null} */ id) => `portal:draft:${id ?? "new"}`;

/** @param {string|null} id */
export const readDraft = (id) => localStorage.getItem(key(id)) ?? "";

/** @param {string|null} id @param {string} text */
export function keepDraft(id, text) {
  if (!text) return dropDraft(id);
  try {
    localStorage.setItem(key(id), text);
  } catch {
    dropDraft(id); // the browser's storage is full: better no draft than an old one
  }
}

/** @param {string|null} id */
export const dropDraft = (id) => localStorage.removeItem(key(id));

/** The server has this question now; what was written since stays. @param {string|null} id @param {string} text */
export function settleDraft(id, text) {
  if (readDraft(id).trim() === text) dropDraft(id);
}

/** A new conversation got its id: what is written there belongs to it. @param {string} id */
export function moveDraft(id) {
  keepDraft(id, readDraft(null));
  dropDraft(null);
}
