// Addresses of memories; loaded with what first needs them.
import { P, json, path, withQuery } from "../api.js";

/** @import {Memory, MemorySwitches} from "../types.js" */

const M = `${P}/memories`;

/** @param {{q?: string, kind?: string|null, status?: string, limit?: number, cursor?: string|null}} query @returns {Promise<{data: Memory[], next: string|null}>} */
export const memories = (query) => json("GET", withQuery(M, query));
/** Those of them that are still there. @param {string[]} ids @returns {Promise<{data: Memory[]}>} */
export const memoriesOf = (ids) => json("GET", `${M}?${new URLSearchParams(ids.map((id) => ["id", id]))}`);
/** With its earlier wordings. @param {string} id @returns {Promise<Memory & {history: Memory[]}>} */
export const memory = (id) => json("GET", `${M}/${path(id)}`);
/** @param {{text: string, kind?: string, scope?: string, happened_at?: number|null}} fields @returns {Promise<Memory & {new: boolean, superseded: string[]}>} */
export const remember = (fields) => json("POST", M, fields);
/** @param {string} id @param {Partial<Memory>} fields @returns {Promise<Memory>} */
export const changeMemory = (id, fields) => json("PATCH", `${M}/${path(id)}`, fields);
/** @param {string} id */
export const forget = (id) => json("DELETE", `${M}/${path(id)}`);
/** @returns {Promise<{deleted: number}>} */
export const forgetEverything = () => json("DELETE", withQuery(M, { confirm: "forget everything" }));
/** @param {string} id @returns {Promise<Memory & {new: boolean}>} */
export const accept = (id) => json("POST", `${M}/${path(id)}/accept`, {});
/** @param {string} id */
export const reject = (id) => json("POST", `${M}/${path(id)}/reject`, {});
/** @param {string[]} ids @param {string} text @returns {Promise<Memory>} */
export const merge = (ids, text) => json("POST", `${M}/merge`, { ids, text });
/** Where all of them are handed out. */
export const exportAddress = `${M}/export`;
/** @param {string} content @param {boolean} dry_run  only tell what there is @returns {Promise<{data: {text: string, new: boolean|null}[]}>} */
export const importMemories = (content, dry_run) => json("POST", `${M}/import`, { content, dry_run });
/** @returns {Promise<MemorySwitches>} */
export const memorySwitches = () => json("GET", `${M}/settings`);
/** @param {Partial<MemorySwitches>} changes @returns {Promise<MemorySwitches>} */
export const setMemorySwitches = (changes) => json("PATCH", `${M}/settings`, changes);
