// Calls about what tool servers hold: resources to read, prompts to begin with.
import { json, P, path } from "../api.js";

/** @typedef {{name: string, title: string, resources: boolean, prompts: boolean}} Holder */
/** @typedef {{uri?: string, name: string, title?: string, description?: string, mimeType?: string, arguments?: {name: string, description?: string, required?: boolean}[]}} Held */

/** @param {string} server */
const at = (server) => `${P}/mcp/servers/${path(server)}`;
/** Servers that hold something. @returns {Promise<{data: Holder[]}>} */
export const library = () => json("GET", `${P}/mcp/library`);
/** @param {string} server @returns {Promise<{data: Held[]}>} */
export const resources = (server) => json("GET", `${at(server)}/resources`);
/** @param {string} server @returns {Promise<{data: Held[]}>} */
export const prompts = (server) => json("GET", `${at(server)}/prompts`);
/** @param {string} server @param {string} uri @returns {Promise<{data: {uri: string, mimeType?: string, text?: string, blob?: string}[]}>} */
export const resource = (server, uri) => json("GET", `${at(server)}/resource?uri=${path(uri)}`);
/** @param {string} server @param {string} name @param {Record<string, string>} filled @returns {Promise<{messages: any[]}>} */
export const prompt = (server, name, filled) => json("POST", `${at(server)}/prompts/${path(name)}`, { arguments: filled });
/** Tool servers that come with Portal. @returns {Promise<{data: {name: string, title: string, about: string, added: string|null}[]}>} */
export const shippedServers = () => json("GET", `${P}/mcp/shipped`);
/** @param {string} name @returns {Promise<import("../types.js").ToolServer>} */
export const addShipped = (name) => json("POST", `${P}/mcp/servers`, { name, shipped: name });
