// Addresses of where the time of turns went.
import { P, json, path } from "../api.js";

/** @typedef {{response_id: string, user_id: string, person: string, created_at: number, ms: number, status: string, door: string, model: string, workspace: string, error: string}} Turn */
/** @typedef {Omit<Turn, "person"> & {spans: import("../insight/spans.js").Span[], dropped: number}} Trace */

/** Everybody's, for those who run this Portal. @param {{sort: string, since: number, limit: number, cursor: string|null}} query @returns {Promise<{data: Turn[], next: string|null}>} */
export const turns = ({ sort, since, limit, cursor }) => json("GET", `${P}/turns?${new URLSearchParams({ sort, since: String(since), limit: String(limit), ...(cursor ? { cursor } : {}) })}`);
/** @param {string} id  of a response @returns {Promise<Trace>} */
export const trace = (id) => json("GET", `${P}/responses/${path(id)}/trace`);
