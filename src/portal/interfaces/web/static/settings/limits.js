// What bounds a key or a person: what may be used, how often, how much a day, and of a key until when.
import { html } from "htm/preact";
import * as api from "../api/people.js";
import { t } from "../strings.js";

/** @typedef {{models: string, workspaces: string, tools: string, readOnly: boolean, admin: boolean, days: string, rate: string, requests: string, tokens: string}} Fields */

/** @type {Fields} */
export const UNBOUNDED = { models: "", workspaces: "", tools: "", readOnly: false, admin: false, days: "", rate: "", requests: "", tokens: "" };

/** @param {string} kind @param {string} names  several, by commas */
const scoped = (kind, names) => names.split(",").map((name) => name.trim()).filter(Boolean).map((name) => `${kind}:${name}`);

/** @typedef {import("../api/people.js").Bounds} Bounds */

/** @param {Fields} fields @returns {Bounds} */
export const toBounds = (fields) => ({
  scopes: [...scoped("models", fields.models), ...scoped("workspaces", fields.workspaces), ...scoped("tools", fields.tools),
    ...(fields.readOnly ? ["read-only"] : []), ...(fields.admin ? ["admin"] : [])],
  rate: Number(fields.rate), requests: Number(fields.requests), tokens: Number(fields.tokens),
});

/** @param {Bounds} bounds @returns {Fields} */
export function toFields(bounds) {
  /** @param {string} kind */
  const names = (kind) => bounds.scopes.filter((scope) => scope.startsWith(`${kind}:`)).map((scope) => scope.slice(kind.length + 1)).join(", ");
  /** @param {number} many */
  const shown = (many) => (many ? String(many) : "");
  return {
    models: names("models"), workspaces: names("workspaces"), tools: names("tools"), days: "",
    readOnly: bounds.scopes.includes("read-only"), admin: bounds.scopes.includes("admin"),
    rate: shown(bounds.rate), requests: shown(bounds.requests), tokens: shown(bounds.tokens),
  };
}

/** @param {string} name @param {Fields} fields */
export const makeKey = (name, fields) => api.createKey({
  name, ...toBounds(fields), ...(fields.days ? { expires_at: Date.now() / 1000 + Number(fields.days) * 86400 } : {}),
});

/** @param {Bounds} bounds */
export const boundsInWords = (bounds) => [
  ...bounds.scopes, bounds.rate && t("keys.perMinute", { n: bounds.rate }),
  bounds.requests && t("keys.requestsADay", { n: bounds.requests }), bounds.tokens && t("keys.tokensADay", { n: bounds.tokens }),
];

/** @param {{fields: Fields, change: (some: Partial<Fields>) => void, person?: boolean}} props  a person's have no end */
export function Limits({ fields, change, person = false }) {
  /** @param {"models"|"workspaces"|"tools"} name @param {string} label */
  const names = (name, label) => html`<div class="field"><label for=${`key-${name}`}>${label}</label>
    <input id=${`key-${name}`} class="input" dir="auto" autocomplete="off" spellcheck=${false} value=${fields[name]} onInput=${(/** @type {any} */ event) => change({ [name]: event.target.value })} /></div>`;
  /** @param {"days"|"rate"|"requests"|"tokens"} name @param {string} label */
  const number = (name, label) => html`<div class="field"><label for=${`key-${name}`}>${label}</label>
    <input id=${`key-${name}`} class="input" type="number" min="1" step="1" value=${fields[name]} onInput=${(/** @type {any} */ event) => change({ [name]: event.target.value })} /></div>`;
  /** @param {"readOnly"|"admin"} name @param {string} label */
  const mark = (name, label) => html`<label class="radio"><input type="checkbox" checked=${fields[name]} onChange=${(/** @type {any} */ event) => change({ [name]: event.target.checked })} /><span>${label}</span></label>`;
  return html`<div class="form"><p class="muted small">${t("keys.limitAbout")}</p>
    <div class="form-pair">${names("models", t("keys.models"))}${names("workspaces", t("keys.workspaces"))}</div>
    <div class="form-pair">${names("tools", t("keys.tools"))}${person ? number("tokens", t("keys.tokens")) : number("days", t("keys.days"))}</div>
    <div class="form-pair">${number("rate", t("keys.rate"))}${number("requests", t("keys.requests"))}</div>
    ${person ? mark("readOnly", t("keys.readOnly"))
      : html`<div class="form-pair">${number("tokens", t("keys.tokens"))}<div class="column">${mark("readOnly", t("keys.readOnly"))}${mark("admin", t("keys.admin"))}</div></div>`}</div>`;
}
