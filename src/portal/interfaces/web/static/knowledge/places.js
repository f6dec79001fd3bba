// Folders and addresses that a collection follows.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import * as library from "../api/knowledge.js";
import { attempt, toast } from "../state.js";
import { moment } from "../format.js";
import { Modal } from "../dialogs.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").PlaceFollowed} PlaceFollowed */

/** @param {{places: PlaceFollowed[]}} props */
export function Places({ places }) {
  const [leaving, setLeaving] = useState(/** @type {PlaceFollowed|null} */ (null));
  if (!places.length) return null;
  const look = () => attempt(async () => {
    await library.look();
    toast(t("places.looking"));
  });
  return html`<section class="column" aria-labelledby="places">
    <div class="row wrap section-head"><h2 id="places" class="grow">${t("places.title")}</h2>
      <button type="button" class="button" onClick=${look}><${Icon} name="again" />${t("places.look")}</button></div>
    <ul class="lines">${places.map((one) => html`<${Place} key=${one.id} one=${one} onLeave=${setLeaving} />`)}</ul>
    ${leaving && html`<${Leave} one=${leaving} onClose=${() => setLeaving(null)} />`}
  </section>`;
}

/** @param {{one: PlaceFollowed, onLeave: (one: PlaceFollowed) => void}} props */
function Place({ one, onLeave }) {
  const told = [one.files === null ? "" : t("places.files", { n: one.files }), one.left_out ? t("places.leftOut", { n: one.left_out }) : "", one.checked_at ? t("places.checked", { time: moment(one.checked_at) }) : t("places.unchecked")];
  return html`<li class="line"><${Icon} name=${one.kind === "url" ? "external" : "folder"} />
    <div class="grow past"><span class="mono clip" dir="ltr" title=${one.place}>${one.place}</span><span class="small muted">${told.filter(Boolean).join(" · ")}</span>
      ${one.error && html`<span class="small bad" dir="auto">${one.error}</span>`}</div>
    <button type="button" class="button" aria-label=${t("places.leaveOne", { place: one.place })} onClick=${() => onLeave(one)}>${t("places.leave")}</button></li>`;
}

/** @param {{collection: string, folders: string[], onClose: () => void}} props  `folders` are those that may be watched from here */
export function Follow({ collection, folders, onClose }) {
  const [place, setPlace] = useState("");
  const [state, setState] = useState({ busy: false, error: "" });
  /** @param {Event} event */
  const follow = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: "" });
    try {
      await library.follow(collection, place.trim());
      onClose();
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      setState({ busy: false, error: error.status ? error.message : t("error.unreachable") });
    }
  };
  return html`<${Modal} label=${t("places.add")} onClose=${onClose}><form onSubmit=${follow}>
    <h2>${t("places.add")}</h2><p>${t("places.about")}</p>
    <div class="field"><label for="follow-place">${t("places.place")}</label>
      <input id="follow-place" class="input mono" dir="ltr" autocomplete="off" spellcheck="false" autofocus list="follow-folders" placeholder=${t("places.placeholder")} value=${place}
        aria-describedby="follow-folders-hint follow-error" onInput=${(/** @type {any} */ event) => setPlace(event.target.value)} /></div>
    <datalist id="follow-folders">${folders.map((each) => html`<option key=${each} value=${each}></option>`)}</datalist>
    <p id="follow-folders-hint" class="small muted">${folders.length ? t("places.granted", { folders: folders.join(", ") }) : t("places.notGranted")}</p>
    <p id="follow-error" class="bad small" role="alert" dir="auto">${state.error}</p>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <button class="button primary" disabled=${state.busy || !place.trim()}>${t("places.follow")}</button></div>
  </form><//>`;
}

/** @param {{one: PlaceFollowed, onClose: () => void}} props */
function Leave({ one, onClose }) {
  const leave = async (/** @type {boolean} */ documents) => {
    onClose();
    await attempt(() => library.leave(one.id, documents));
  };
  return html`<${Modal} label=${t("places.leaveTitle")} onClose=${onClose}><div class="dialog-body">
    <h2>${t("places.leaveTitle")}</h2><p class="mono small" dir="ltr">${one.place}</p><p>${t("places.leaveText")}</p>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <button type="button" class="button danger" onClick=${() => leave(true)}>${t("places.leaveForget")}</button>
      <button type="button" class="button primary" onClick=${() => leave(false)}>${t("places.leaveKeep")}</button></div>
  </div><//>`;
}
