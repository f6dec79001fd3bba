// Addresses of pictures, videos and music; loaded with what first needs them.
import { P, json, path, stream, withQuery } from "../api.js";

/** @import {MediaJob, MediaWorkflow} from "../types.js" */

const M = `${P}/media`;

/** @param {{kind?: string|null, call_id?: string, limit?: number, cursor?: string|null}} query @returns {Promise<{data: MediaJob[], next: string|null}>} */
export const mediaJobs = (query) => json("GET", withQuery(`${M}/jobs`, query));
/** @param {string} id @returns {Promise<MediaJob>} */
export const mediaJob = (id) => json("GET", `${M}/jobs/${path(id)}`);
/** @param {{kind: string, workflow?: string, values: Record<string, any>, pictures?: Record<string, string>}} order @returns {Promise<{data: MediaJob[]}>} */
export const orderMedia = (order) => json("POST", `${M}/jobs`, order);
/** @param {string} id @returns {Promise<MediaJob>} */
export const cancelMedia = (id) => json("POST", `${M}/jobs/${path(id)}/cancel`, {});
/** @param {string} id */
export const deleteMedia = (id) => json("DELETE", `${M}/jobs/${path(id)}`);
/** @param {string} kind @returns {Promise<{data: MediaWorkflow[]}>} */
export const mediaWorkflows = (kind) => json("GET", withQuery(`${M}/workflows`, { kind }));
/** How far a job is, until it has ended. @param {string} id @param {AbortSignal} signal @returns {AsyncGenerator<MediaJob & {previews: number}>} */
export const mediaEvents = (id, signal) => stream(`${M}/jobs/${path(id)}/events`, { signal });
/** What it looks like so far. @param {string} id @param {number} number */
export const mediaPreview = (id, number) => `${M}/jobs/${path(id)}/preview?n=${number}`;
