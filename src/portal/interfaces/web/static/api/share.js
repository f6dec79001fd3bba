// Addresses of conversations shared by a link; loaded with what first needs them.
import { P, json, path } from "../api.js";

/** @typedef {{title: string, shared_at: number, messages: {role: "user"|"assistant", text: string}[]}} Shared */

/** What a link leads to. @param {string} token @returns {Promise<Shared>} */
export const shared = (token) => json("GET", `/share/${path(token)}/conversation`);

/** @param {string} id */
const place = (id) => `${P}/conversations/${path(id)}/share`;
/** @param {string} id @returns {Promise<{allowed: boolean, shared_at: number|null}>} */
export const shareOf = (id) => json("GET", place(id));
/** The address, told this once. @param {string} id @returns {Promise<{url: string}>} */
export const share = (id) => json("POST", place(id), {});
/** @param {string} id */
export const unshare = (id) => json("DELETE", place(id));
