// API keys: make one (shown once), see when each was used, revoke.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { attempt, me, toast } from "../state.js";
import { moment } from "../format.js";
import { t } from "../strings.js";
import { Confirm } from "../dialogs.js";
import { useLoad } from "../load.js";
import { CopyLine } from "./copy.js";
import { Limits, UNBOUNDED, boundsInWords, makeKey } from "./limits.js";

/** @typedef {import("./limits.js").Fields} Fields */
/** @typedef {import("../api/people.js").Bounds & {id: string, name: string, hint: string, created_at: number, last_used_at: number|null, expires_at: number|null}} Key */

export function Keys() {
  const { data, failed, reload } = useLoad(api.keys);
  const [made, setMade] = useState(/** @type {{name: string, key: string}|null} */ (null));
  return html`<p class="muted">${t("settings.keysAbout")}</p>
    <div class="field"><span class="label">${t("settings.keysBase")}</span><${CopyLine} text=${me.value?.api_base ?? ""} /></div>
    ${made ? html`<${Fresh} name=${made.name} secret=${made.key} onSeen=${() => setMade(null)} />` : html`<${NewKey} onMade=${(/** @type {any} */ key) => { setMade(key); reload(); }} />`}
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${data && !data.data.length && html`<p class="muted">${t("settings.keyNone")}</p>`}
    <ul class="lines">${data?.data.map((/** @type {Key} */ key) => html`<${KeyLine} key=${key.id} entry=${key} onGone=${reload} />`)}</ul>`;
}

/** @param {{onMade: (key: {name: string, key: string}) => void}} props */
function NewKey({ onMade }) {
  const [name, setName] = useState("");
  const [fields, setFields] = useState(UNBOUNDED);
  const [error, setError] = useState("");
  /** @param {Event} event */
  const make = async (event) => {
    event.preventDefault();
    try {
      onMade(await makeKey(name.trim(), fields));
    } catch (refusal) {
      if (!(refusal instanceof api.ApiError)) throw refusal;
      setError(refusal.status ? refusal.message : t("error.unreachable"));
    }
  };
  return html`<form class="form" onSubmit=${make}>
    <div class="field"><label for="key-name">${t("settings.keyName")}</label>
      <div class="row"><input id="key-name" class="input grow" dir="auto" required maxlength="200" autocomplete="off" placeholder=${t("settings.keyExample")} value=${name}
        aria-describedby=${error ? "key-error" : undefined} onInput=${(/** @type {any} */ event) => { setName(event.target.value); setError(""); }} />
        <button class="button primary" disabled=${!name.trim()}>${t("settings.keyCreate")}</button></div></div>
    <details><summary>${t("keys.limit")}</summary><${Limits} fields=${fields} change=${(/** @type {Partial<Fields>} */ some) => setFields({ ...fields, ...some })} /></details>
    <p id="key-error" class="bad" role="alert" dir="auto">${error}</p>
  </form>`;
}

/** @param {{name: string, secret: string, onSeen: () => void}} props */
function Fresh({ name, secret, onSeen }) {
  return html`<div class="notice fresh" role="status"><p class="grow">${t("settings.keyOnce", { name })}</p>
    <${CopyLine} text=${secret} /><button type="button" class="button" onClick=${onSeen}>${t("settings.keySeen")}</button></div>`;
}

/** @param {{entry: Key, onGone: () => void}} props */
function KeyLine({ entry, onGone }) {
  const [asking, setAsking] = useState(false);
  const revoke = () => attempt(async () => {
    await api.deleteKey(entry.id);
    toast(t("settings.revoked", { name: entry.name }));
    onGone();
  });
  const facts = [
    entry.hint && t("settings.keyEnds", { hint: entry.hint }), t("settings.created", { when: moment(entry.created_at) }),
    ...boundsInWords(entry), entry.expires_at && t("keys.until", { when: moment(entry.expires_at) }),
    entry.last_used_at ? t("settings.keyUsed", { when: moment(entry.last_used_at) }) : t("settings.keyUnused"),
  ];
  return html`<li class="line"><div class="grow"><p class="clip" dir="auto"><strong>${entry.name}</strong></p><p class="small muted">${facts.filter(Boolean).join(" · ")}</p></div>
    <button type="button" class="button danger" aria-label=${t("settings.revokeKey", { name: entry.name })} onClick=${() => setAsking(true)}>${t("settings.revoke")}</button>
    ${asking && html`<${Confirm} title=${t("settings.revokeKey", { name: entry.name })} text=${t("settings.revokeKeyText")} action=${t("settings.revoke")} danger=${true}
      onYes=${revoke} onClose=${() => setAsking(false)} />`}</li>`;
}
