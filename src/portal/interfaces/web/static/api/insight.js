// Addresses of what only those who run this Portal see; loaded with their views.
import { P, json, withQuery } from "../api.js";

/** @typedef {{median: number|null, p99: number|null, worst: number|null}} Spread  in seconds */
/** @typedef {{name: string, kind: string, url: string, status: "up"|"down"|"waiting", error: string|null, models: number, up: boolean, running: number, queued: number, max_concurrency: number, across_servers: boolean, running_elsewhere: number, breakers: {model: string, state: "closed"|"half-open"|"open"}[], held: Record<string, number>}} Server */
/** @typedef {{name: string, kind: string, state: string, detail: string, unsent: number, repairs?: number}} Channel */
/** @typedef {{name: string, title: string, status: string, detail: string}} Tools */
/** @typedef {{approvals: number, documents: number, media_queued: number, media_running: number, sessions: number}} Waiting */
/** @typedef {{memory: number, cpu: number, threads: number, files: number|null, most_files: number|null, started: number, disk_free: number|null, disk_size: number|null}} Process */
/** @typedef {{at: number, calls: number, servers: Server[], channels: Channel[], tool_servers: Tools[], waiting: Waiting|null, database: {kind: string, answers: boolean, batches: Spread}, loop: Spread, process: Process, listening: number}} Activity */

/** @typedef {{kind: string, name: string, state: "ok"|"note"|"degraded"|"down", detail: string, remedy: string}} Condition */

/** @returns {Promise<{status: string, ready: boolean, data: Condition[]}>} */
export const health = () => json("GET", `${P}/health`);

/** @returns {Promise<Activity>} */
export const activity = () => json("GET", `${P}/activity`);

/** @typedef {"backend"|"backup"|"breaker"|"channel"|"error"|"settings"|"sign-in"|"upgrade"|"warning"} Kind */
/** @typedef {{id: string, at: number, kind: Kind, level: string, source: string, text: string, request: string}} Event */
/** @param {{limit: number, cursor: string|null, kind: string, text: string}} query @returns {Promise<{data: Event[], next: string|null}>} */
export const events = ({ kind, text, ...query }) => json("GET", withQuery(`${P}/activity/events`, { ...query, ...(kind && { kind }), ...(text && { text }) }));

/** @typedef {{day?: string, model?: string, user?: string, name?: string, workspace?: string, calls: number, failures: number, input_tokens: number, output_tokens: number, milliseconds: number, first_milliseconds: number|null}} Used */
/** @typedef {{days: number, by: string, timezone: string, everybody: "true"|"false"}} Wanted */
/** @param {Wanted} query @returns {Promise<{data: Used[], has_more: boolean}>} */
export const used = (query) => json("GET", withQuery(`${P}/usage`, query));
/** Where the same is as a table for spreadsheets. @param {Wanted} query */
export const usedAsTable = (query) => withQuery(`${P}/usage/csv`, query);

/** @typedef {{level: string, until: number|null, loggers: {name: string, level: string, until: number|null}[]}} Levels */
/** @returns {Promise<Levels>} */
export const logLevels = () => json("GET", `${P}/log`);
/** @param {{level: string, logger?: string, seconds?: number|null}} wanted @returns {Promise<Levels>} */
export const setLogLevel = (wanted) => json("PUT", `${P}/log`, wanted);
