// Calls about what is brought in from other programs, and what is taken along.
import { call, json, P, path, withQuery } from "../api.js";

/** @typedef {Record<string, number>} Counts  by kind: conversations, messages, files, folders, memories, workspaces */
/** @typedef {{kind: string, reason: string, count: number}} Reason */
/** @typedef {{found: Counts, stored: Counts, known: Counts, reasons: Reason[], skipped: {kind: string, name: string, reason: string}[], whole: boolean}} Report */
/** @typedef {{id: string, filename: string, bytes: number, source: string|null, status: "reading"|"ready"|"importing"|"done"|"failed", progress: number, report: Report|null, problem: string|null, created_at: number}} Import */

/** Where everything of one's own comes as a zip. */
export const exportAddress = `${P}/export`;
/** @param {string} id @param {"markdown"|"json"} format */
export const conversationAddress = (id, format) => `${P}/conversations/${path(id)}/export?format=${format}`;
/** @returns {Promise<{data: Import[]}>} */
export const imports = () => json("GET", `${P}/imports`);
/** Send a file, to be looked through. @param {File} file @param {AbortSignal} signal @returns {Promise<Import>} */
export async function bringIn(file, signal) {
  const headers = { "Content-Type": "application/octet-stream" };
  return (await call(withQuery(`${P}/imports`, { filename: file.name }), { method: "POST", headers, body: file, signal })).json();
}
/** @param {string} id */
export const start = (id) => json("POST", `${P}/imports/${path(id)}/start`, {});
/** @param {string} id */
export const forget = (id) => json("DELETE", `${P}/imports/${path(id)}`);
