// Addresses of channels; loaded with what first needs them.
import { P, json, path } from "../api.js";

/** @typedef {{name: string, kind: string, state: "starting"|"up"|"deaf"|"down"|"refused"|"taken"|"broken", detail: string, events?: number}} Channel */
/** @typedef {{id: string, channel: string, sender: string, name: string, direct: boolean, created_at: number}} Link */
/** @typedef {{id: string, channel: string, sender: string, name: string, place: string}} Pairing */
/** @typedef {{channel: string, target: string, room: string, title: string, direct: boolean, mode: "mentioned"|"always"}} Chat */
/** @typedef {{code: string, expires_at: number, invitations: {channel: string, url: string}[]}} Code */

const C = `${P}/channels`;

/** @returns {Promise<{data: Channel[]}>} */
export const channels = () => json("GET", C);
/** @returns {Promise<{data: Link[]}>} */
export const links = () => json("GET", `${C}/links`);
/** @returns {Promise<{data: Pairing[]}>} */
export const pairings = () => json("GET", `${C}/pairings`);
/** @returns {Promise<Code>} */
export const makeCode = () => json("POST", `${C}/codes`, {});
/** @returns {Promise<{data: Chat[]}>} */
export const chats = () => json("GET", `${C}/chats`);
/** @param {string} target @param {Chat["mode"]} mode */
export const answerIn = (target, mode) => json("PATCH", `${C}/chats`, { target, mode });
/** @param {string} id */
export const unlink = (id) => json("DELETE", `${C}/links/${path(id)}`);
/** @param {string} id @param {boolean} approve */
export const decidePairing = (id, approve) => json("POST", `${C}/pairings/${path(id)}`, { approve });
/** @returns {Promise<{data: {target: string, title: string}[]}>} */
export const targets = () => json("GET", `${C}/targets`);
/** @param {string} conversation_id @param {string} target */
export const continueIn = (conversation_id, target) => json("POST", `${C}/continue`, { conversation_id, target });
