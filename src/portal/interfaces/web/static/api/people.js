// Addresses of people, of signing in and of one's own account; loaded with what first needs them.
import { P, json, path } from "../api.js";

/** @typedef {"owner"|"admin"|"member"|"guest"} Role */
/** 0 is any number. @typedef {{scopes: string[], rate: number, requests: number, tokens: number}} Bounds */
/** @typedef {{id: string, name: string, login: string|null, role: Role, suspended: boolean, limits: Bounds, created_at: number}} Person */
/** @typedef {{url: string, expires_at: number}} Invitation */

/** How one may sign in here. @returns {Promise<{password: boolean, passkey: boolean, oidc: {name: string, label: string}[]}>} */
export const waysIn = () => json("GET", "/sign-in/ways");
/** @param {string} login @param {string} password */
export const enterByPassword = (login, password) => json("POST", "/sign-in/password", { login, password });

/** Where signing in at an identity provider begins. @param {string} name */
export const providerAddress = (name) => `/sign-in/oidc/${path(name)}`;

/** @typedef {{token: string, options: any}} Challenge @typedef {{id: string, name: string, created_at: number, last_used_at: number|null}} Passkey */
/** @returns {Promise<Challenge>} */
export const passkeyChallenge = () => json("POST", "/sign-in/passkey/options", {});
/** @param {string} token @param {object} credential */
export const enterByPasskey = (token, credential) => json("POST", "/sign-in/passkey", { token, credential });
/** @returns {Promise<{data: Passkey[]}>} */
export const passkeys = () => json("GET", `${P}/me/passkeys`);
/** @returns {Promise<Challenge>} */
export const newPasskey = () => json("POST", `${P}/me/passkeys/options`, {});
/** @param {string} token @param {object} credential @param {string} name */
export const addPasskey = (token, credential, name) => json("POST", `${P}/me/passkeys`, { token, credential, name });
/** @param {string} id */
export const removePasskey = (id) => json("DELETE", `${P}/me/passkeys/${path(id)}`);

/** @param {{name?: string, login?: string}} fields */
export const changeMe = (fields) => json("PATCH", `${P}/me`, fields);
/** @param {{current: string, password: string}} fields @returns {Promise<{signed_out: number}>} */
export const changePassword = (fields) => json("PUT", `${P}/me/password`, fields);
/** @returns {Promise<{signed_out: number}>} */
export const signOutEverywhere = () => json("POST", `${P}/me/sign-out-everywhere`, {});

/** @returns {Promise<{data: Person[]}>} */
export const people = () => json("GET", `${P}/users`);
/** @param {{name: string, login: string, role: Role}} fields @returns {Promise<Person & Invitation>} */
export const addPerson = (fields) => json("POST", `${P}/users`, fields);
/** @param {string} id @param {{role?: Role, suspended?: boolean, limits?: Bounds}} fields @returns {Promise<Person>} */
export const changePerson = (id, fields) => json("PATCH", `${P}/users/${path(id)}`, fields);
/** @param {string} id @returns {Promise<Invitation>} */
export const invitePerson = (id) => json("POST", `${P}/users/${path(id)}/invitation`, {});
/** With all that is theirs, or after handing what they made over. @param {string} id @param {string} heir empty: everything goes */
export const deletePerson = (id, heir) => json("DELETE", `${P}/users/${path(id)}?${heir ? `heir=${path(heir)}` : "everything=true"}`);

/** @param {Bounds & {name: string, expires_at?: number}} fields @returns {Promise<{name: string, key: string}>} */
export const createKey = (fields) => json("POST", `${P}/keys`, fields);
