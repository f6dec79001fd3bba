// Addresses of collections, their documents and places, and passages; loaded with what first needs them.
import { P, json, path, withQuery } from "../api.js";

/** @import {Collection, Embedder, KnowledgeDocument, Passage, PassageFound, PlaceFollowed} from "../types.js" */

const STORES = "/v1/vector_stores";
const K = `${P}/knowledge`;

/** @returns {Promise<{collections: Collection[], chats: Collection[], embedder: Embedder, queue: {in_progress: number, failed: number}, sources: PlaceFollowed[], folders: string[]}>} */
export const knowledge = () => json("GET", K);
/** For those who run this installation. @param {string} model @returns {Promise<Embedder>} */
export const chooseEmbedder = (model) => json("PUT", `${P}/embedder`, { model });
/** @param {string} name @returns {Promise<Collection>} */
export const createCollection = (name) => json("POST", STORES, { name });
/** @param {string} id @param {{name?: string, description?: string}} fields @returns {Promise<Collection>} */
export const changeCollection = (id, fields) => json("POST", `${STORES}/${path(id)}`, fields);
/** With the files that were uploaded into it alone. @param {string} id */
export const deleteCollection = (id) => json("DELETE", `${K}/${path(id)}?files=true`);

/** @param {string} id @param {{status?: string|null, limit?: number, cursor?: string|null}} query @returns {Promise<{data: KnowledgeDocument[], next: string|null}>} */
export const documents = (id, query) => json("GET", withQuery(`${K}/${path(id)}/documents`, query));
/** `known` where the collection has its content already. @param {string} id @param {{file_id: string, attributes?: Record<string, string>}} fields @returns {Promise<{known: boolean}>} */
export const addDocument = (id, fields) => json("POST", `${K}/${path(id)}/documents`, fields);
/** The uploaded file, and what was read from it. @param {string} file */
export const deleteFile = (file) => json("DELETE", `/v1/files/${path(file)}`);
/** Read one again, or all that failed. @param {string} id @param {string} [file_id] @returns {Promise<{retried: number}>} */
export const retry = (id, file_id) => json("POST", `${K}/${path(id)}/retry`, file_id ? { file_id } : {});

/** @param {string} id @param {string} place  a folder of Portal's machine, or an address @returns {Promise<PlaceFollowed>} */
export const follow = (id, place) => json("POST", `${K}/${path(id)}/sources`, { place });
/** @param {string} id @param {boolean} documents  forget what came from it, too */
export const leave = (id, documents) => json("DELETE", withQuery(`${K}/sources/${path(id)}`, { documents: String(documents) }));
export const look = () => json("POST", `${K}/look`, {});

/** @param {{query: string, collections?: string[], limit?: number}} body @param {AbortSignal} [signal] @returns {Promise<{data: PassageFound[]}>} */
export const search = (body, signal) => json("POST", `${K}/search`, body, signal);
/** @param {string} id @returns {Promise<Passage & {document: KnowledgeDocument, before: string, after: string}>} */
export const passage = (id) => json("GET", `${K}/passages/${path(id)}`);
/** @param {string} file @param {{collection?: string|null, first?: number, limit?: number}} query @returns {Promise<KnowledgeDocument & {first: number, passages: Passage[], next: number|null}>} */
export const documentText = (file, query) => json("GET", withQuery(`${K}/documents/${path(file)}/text`, query));
