// Calls about files, for their cards and the list of them.
import { fileContent, json, P, path } from "../api.js";

/** @typedef {{id: string, filename: string, content_type: string, bytes: number, created_at: number, expires_at: number|null, purpose: string}} StoredFile */
/** @param {{limit: number, cursor: string|null}} query @returns {Promise<{data: StoredFile[], next: string|null}>} */
export async function files({ limit, cursor }) {
  const page = await json("GET", `/v1/files?limit=${limit}${cursor ? `&after=${path(cursor)}` : ""}`);
  return { data: page.data, next: page.has_more ? page.last_id : null };
}
/** @returns {Promise<{files: number, bytes: number, quota: number}>} */
export const usage = () => json("GET", `${P}/files/usage`);
/** @param {string} id @returns {Promise<{text: string, whole: boolean}>} */
export const text = (id) => json("GET", `${P}/files/${path(id)}/text`);
/** Where a browser finds it to show it in its place. @param {string} id */
export const shown = (id) => `${fileContent(id)}?inline=1`;
/** @param {string} id */
export const thumbnail = (id) => `${P}/files/${path(id)}/thumbnail`;
/** A page of a PDF as a picture. @param {string} id @param {number} number */
export const page = (id, number) => `${P}/files/${path(id)}/pages/${number}`;
