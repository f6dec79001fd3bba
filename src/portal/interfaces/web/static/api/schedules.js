// Addresses of schedules and webhooks; loaded with what first needs them.
import { P, json, path, withQuery } from "../api.js";

/** @import {Schedule, ScheduleFields, SchedulePlan, ScheduleRun} from "../types.js" */

const S = `${P}/schedules`;

/** @returns {Promise<{data: Schedule[]}>} */
export const schedules = () => json("GET", S);
/** @param {string} id @returns {Promise<Schedule>} */
export const schedule = (id) => json("GET", `${S}/${path(id)}`);
/** @param {Partial<ScheduleFields>} fields @returns {Promise<Schedule & {url?: string}>} */
export const makeSchedule = (fields) => json("POST", S, fields);
/** @param {string} id @param {Partial<ScheduleFields>} fields @returns {Promise<Schedule>} */
export const changeSchedule = (id, fields) => json("PATCH", `${S}/${path(id)}`, fields);
/** @param {string} id */
export const deleteSchedule = (id) => json("DELETE", `${S}/${path(id)}`);
/** @param {string} id @returns {Promise<ScheduleRun>} */
export const runSchedule = (id) => json("POST", `${S}/${path(id)}/run`, {});
/** A webhook's new address. @param {string} id @returns {Promise<{url: string}>} */
export const renewAddress = (id) => json("POST", `${S}/${path(id)}/token`, {});
/** @param {string} id @param {{limit: number, cursor: string|null}} page @returns {Promise<{data: ScheduleRun[], next: string|null}>} */
export const scheduleRuns = (id, page) => json("GET", withQuery(`${S}/${path(id)}/runs`, page));
/** @param {string} when @param {string} zone @returns {Promise<SchedulePlan>} */
export const previewSchedule = (when, zone) => json("POST", `${S}/preview`, { when, zone });
/** @returns {Promise<{data: {name: string, title: string}[]}>} */
export const scheduleTargets = () => json("GET", `${S}/targets`);
