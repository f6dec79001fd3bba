// Addresses of backups; loaded with the settings that show them.
import { P, json } from "../api.js";

/** @typedef {{name: string, size: number, sealed: boolean, created_at: string|null, version: string|null, problem: string}} Backup */
/** @typedef {{at: string, path: string, error: string, size: number, seconds: number}} Outcome */
/** @typedef {{folder: string, scheduled: boolean, every: number, keep: number, sealed: boolean, running: boolean, last: Outcome|null, next_at: string|null, data: Backup[]}} Backups */

/** @returns {Promise<Backups>} */
export const backups = () => json("GET", `${P}/backups`);
/** Answered when it is there. @returns {Promise<Backups>} */
export const makeBackup = () => json("POST", `${P}/backups`, {});
