// The only module that knows addresses. Everything it throws is an ApiError.
import { events } from "./sse.js";

/** @typedef {import("./types.js").Failure} Failure */

/** A refused or failed call: `status` 0 means the server could not be reached. */
export class ApiError extends Error {
  /** @param {Failure & {status: number}} failure */
  constructor(failure) {
    super(failure.message);
    this.status = failure.status;
    this.code = failure.code ?? null;
    this.param = failure.param ?? null;
    this.type = failure.type ?? null;
  }
}

export const P = "/portal/v1";
export const path = encodeURIComponent;

/**
 * @param {string} url
 * @param {RequestInit} [init]
 */
export async function call(url, init) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, message: "unreachable", code: "unreachable" });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** @param {Response} response */
async function refusal(response) {
  const failure = { status: response.status, message: response.statusText || String(response.status) };
  try {
    return new ApiError({ ...failure, ...(await response.json()).error });
  } catch {
    return new ApiError(failure); // a body that is not ours, such as a proxy's page
  }
}

/**
 * @param {string} method
 * @param {string} url
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function json(method, url, body, signal) {
  const sent = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await call(url, { method, signal, ...sent });
  return response.status === 204 ? null : response.json();
}

/**
 * @param {string} url
 * @param {Record<string, string|number|boolean|null|undefined>} query  null and undefined are left out
 */
export function withQuery(url, query) {
  const set = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${url}?${text}` : url;
}

// ---- Session -------------------------------------------------------------------------------------------------
export const me = () => json("GET", `${P}/me`);
/** @param {object} preferences */
export const savePreferences = (preferences) => json("PUT", `${P}/preferences`, preferences);
export const signOut = () => json("POST", `${P}/sign-out`, {});

// ---- Conversations and folders -------------------------------------------------------------------------------
/** @param {{limit?: number, cursor?: string|null, folder?: string|null, q?: string}} query @param {AbortSignal} [signal] */
export const conversations = (query, signal) => json("GET", withQuery(`${P}/conversations`, query), undefined, signal);
/** @param {{title?: string, folder_id?: string|null, model?: string|null}} fields */
export const createConversation = (fields) => json("POST", `${P}/conversations`, fields);
/** @param {string} id */
export const conversation = (id) => json("GET", `${P}/conversations/${path(id)}`);
/** @param {string} id @param {{title?: string, pinned?: boolean, folder_id?: string|null, model?: string|null, head?: string}} fields */
export const changeConversation = (id, fields) => json("PATCH", `${P}/conversations/${path(id)}`, fields);
/** @param {string[]} ids */
export const deleteConversations = (ids) => json("POST", `${P}/conversations/delete`, { ids });
/** @param {string[]} ids */
export const restoreConversations = (ids) => json("POST", `${P}/conversations/restore`, { ids });
/** @param {string[]} ids @param {string|null} folder_id */
export const moveConversations = (ids, folder_id) => json("POST", `${P}/conversations/move`, { ids, folder_id });
/** @param {string} id @param {{before?: string|null, limit?: number}} query */
export const turns = (id, query) => json("GET", withQuery(`${P}/conversations/${path(id)}/turns`, query));
export const folders = () => json("GET", `${P}/folders`);
/** @param {string} id */
export const folder = (id) => json("GET", `${P}/folders/${path(id)}`);
/** @param {object} fields */
export const createFolder = (fields) => json("POST", `${P}/folders`, fields);
/** @param {string} id @param {object} fields */
export const changeFolder = (id, fields) => json("PUT", `${P}/folders/${path(id)}`, fields);
/** @param {string} id */
export const deleteFolder = (id) => json("DELETE", `${P}/folders/${path(id)}`);

// ---- Responses -----------------------------------------------------------------------------------------------
/** Start a turn; yields its numbered events. @param {object} body @param {AbortSignal} [signal] */
export async function* respond(body, signal) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  const init = { method: "POST", headers, body: JSON.stringify({ ...body, stream: true }), signal };
  yield* stream(`/v1/responses?portal_events=1`, init);
}

/** Re-attach to a turn after event number `after`. @param {string} id @param {number} after @param {AbortSignal} [signal] */
export async function* resume(id, after, signal) {
  const query = { stream: "true", starting_after: after, portal_events: 1 };
  yield* stream(withQuery(`/v1/responses/${path(id)}`, query), { signal });
}

/** @param {string} url @param {RequestInit} init @param {() => void} [opened] @returns {AsyncGenerator<any, void, void>} */
export async function* stream(url, init, opened) {
  const response = await call(url, init);
  opened?.();
  try {
    if (response.body) yield* events(response.body);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, message: "connection lost", code: "unreachable" });
  }
}

/** A vendored library as text, for a frame that may load nothing itself. @param {string} name @returns {Promise<string>} */
export const library = async (name) => (await call(`/static/vendor/${path(name)}`)).text();
/** @param {string} id */
export const responseAddress = (id) => `/v1/responses/${path(id)}`;
/** @param {string} id */
export const response = (id) => json("GET", responseAddress(id));
/** @param {string} id */
export const cancel = (id) => json("POST", `${responseAddress(id)}/cancel`, {});
/** @param {string} id */
export const route = (id) => json("GET", `${P}/responses/${path(id)}/route`);
/** @param {string} id @param {number} rating */
export const rate = (id, rating) => json("PUT", `${P}/responses/${path(id)}/feedback`, { rating });

// ---- Files ---------------------------------------------------------------------------------------------------
/** @param {string} id */
export const fileContent = (id) => `/v1/files/${path(id)}/content`;
/** @param {string} id */
export const removeFile = (id) => json("DELETE", `/v1/files/${path(id)}`);
/** @param {string} id */
export const fileInfo = (id) => json("GET", `/v1/files/${path(id)}`);

/**
 * Upload with progress (fetch cannot report it).
 * @param {File} file
 * @param {(sent: number) => void} onProgress  bytes sent so far
 * @param {AbortSignal} [signal]
 * @returns {Promise<{id: string, filename: string, bytes: number}>}
 */
export function upload(file, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("purpose", "user_data");
    form.append("file", file, file.name);
    request.open("POST", "/v1/files");
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new ApiError({ status: request.status, message: request.statusText, ...request.response?.error }));
    };
    request.onerror = () => reject(new ApiError({ status: 0, message: "unreachable", code: "unreachable" }));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

// ---- Models, backends, the embedded engine -------------------------------------------------------------------
export const models = () => json("GET", `${P}/models`);
export const refreshModels = () => json("POST", `${P}/models/refresh`, {});
/** Servers and services known by name. */
export const presets = () => json("GET", `${P}/backends/presets`);
/** @param {{kind: string, url: string, name?: string, api_key?: string}} fields */
export const addBackend = (fields) => json("POST", `${P}/backends`, fields);
/** @param {string} name */
export const removeBackend = (name) => json("DELETE", `${P}/backends/${path(name)}`);
export const embedded = () => json("GET", `${P}/embedded`);
export const installEmbedded = () => json("POST", `${P}/embedded/install`, {});
/** @param {{source: string, sha256?: string}} fields */
export const pull = (fields) => json("POST", `${P}/pulls`, fields);
/** @param {string} id */
export const cancelPull = (id) => json("DELETE", `${P}/pulls/${path(id)}`);

// ---- Workspaces and personas ---------------------------------------------------------------------------------
export const workspaces = () => json("GET", `${P}/workspaces`);
/** @param {string} name @param {object} fields */
export const saveWorkspace = (name, fields) => json("PUT", `${P}/workspaces/${path(name)}`, fields);
/** @param {string} name */
export const deleteWorkspace = (name) => json("DELETE", `${P}/workspaces/${path(name)}`);
/** @param {string} name @param {{prompt?: string, workspace?: object}} trial @returns {Promise<import("./types.js").Trial>} */
export const testWorkspace = (name, trial) => json("POST", `${P}/workspaces/${path(name)}/test`, trial);
export const personas = () => json("GET", `${P}/personas`);
/** @param {string} content */
export const importPersonas = (content) => json("POST", `${P}/personas/import`, { content });

// ---- Tools, approvals, grants, audit ---------------------------------------------------------------------------
/** @param {{status?: string, limit?: number, cursor?: string|null}} query @returns {Promise<{data: import("./types.js").Approval[], next: string|null}>} */
export const approvals = (query) => json("GET", withQuery(`${P}/approvals`, query));
/** @param {string} id @returns {Promise<import("./types.js").Approval>} */
export const approval = (id) => json("GET", `${P}/approvals/${path(id)}`);
/** @param {string} id @param {import("./types.js").Verdict} verdict @returns {Promise<{approval: import("./types.js").Approval, response_id: string|null}>} */
export const decide = (id, verdict) => json("POST", `${P}/approvals/${path(id)}`, verdict);
/** @returns {Promise<{toolsets: import("./types.js").Toolset[]}>} */
export const tools = () => json("GET", `${P}/tools`);
/** For the owner of this installation. @returns {Promise<{data: import("./types.js").ToolServer[]}>} */
export const toolServers = () => json("GET", `${P}/mcp/servers`);
/** @param {{name: string, url: string, kind?: string, auth?: string, headers?: Record<string, string>}} fields @returns {Promise<import("./types.js").ToolServer>} */
export const addToolServer = (fields) => json("POST", `${P}/mcp/servers`, fields);
/** @param {string} name */
export const removeToolServer = (name) => json("DELETE", `${P}/mcp/servers/${path(name)}`);
/** @param {string} name @returns {Promise<import("./types.js").ToolServer>} */
export const testToolServer = (name) => json("POST", `${P}/mcp/servers/${path(name)}/test`, {});
/** @param {string} name @returns {Promise<{url: string}>} where to sign in; empty for one who is */
export const signInAtToolServer = (name) => json("POST", `${P}/mcp/servers/${path(name)}/sign-in`, {});
/** @returns {Promise<{data: import("./types.js").Grant[]}>} */
export const grants = () => json("GET", `${P}/grants`);
/** @param {string} id */
export const removeGrant = (id) => json("DELETE", `${P}/grants/${path(id)}`);
/** @param {{limit?: number, cursor?: string|null}} query @returns {Promise<{data: import("./types.js").AuditLine[], next: string|null}>} */
export const audit = (query) => json("GET", withQuery(`${P}/audit`, query));

// ---- Keys, sessions, usage, manual ---------------------------------------------------------------------------
export const keys = () => json("GET", `${P}/keys`);
/** @param {string} id */
export const deleteKey = (id) => json("DELETE", `${P}/keys/${path(id)}`);
export const sessions = () => json("GET", `${P}/sessions`);
/** @param {string} id */
export const deleteSession = (id) => json("DELETE", `${P}/sessions/${path(id)}`);
export const createLink = () => json("POST", `${P}/links`, {});
export const manual = () => json("GET", `${P}/manual`);
/** @param {string} page */
export const manualPage = (page) => json("GET", `${P}/manual/${path(page)}`);

/** What changed on the server, as it changes; `opened` is called once nothing can be missed. @param {AbortSignal} signal @param {() => void} opened */
export async function* changes(signal, opened) {
  yield* stream(`${P}/events`, { signal }, opened);
}
