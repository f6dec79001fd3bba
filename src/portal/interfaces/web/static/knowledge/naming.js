// Naming a collection, and choosing where dropped files go.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { createCollection } from "../state/knowledge.js";
import { navigate } from "../router.js";
import { Modal } from "../dialogs.js";
import { t } from "../strings.js";

const LONGEST = 256;
/** @param {any} event @returns {string} */
const typed = (event) => event.target.value;

/** @param {{title: string, action: string, initial: string, onName: (name: string) => unknown, onClose: () => void}} props */
export function NameDialog({ title, action, initial, onName, onClose }) {
  const [name, setName] = useState(initial);
  /** @param {Event} event */
  const done = (event) => {
    event.preventDefault();
    onClose();
    if (name.trim() && name.trim() !== initial) onName(name.trim());
  };
  return html`<${Modal} label=${title} onClose=${onClose}><form onSubmit=${done}>
    <h2>${title}</h2>
    <div class="field"><label for="collection-name">${t("knowledge.name")}</label>
      <input id="collection-name" class="input" dir="auto" maxlength=${LONGEST} autocomplete="off" autofocus value=${name} onInput=${(/** @type {Event} */ event) => setName(typed(event))} /></div>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <button class="button primary" disabled=${!name.trim()}>${action}</button></div>
  </form><//>`;
}

/**
 * @param {{
 *   collections: import("../types.js").Collection[], given: import("./dropped.js").Given[], initial: string,
 *   onPick: (collection: string, given: import("./dropped.js").Given[]) => void, onClose: () => void,
 * }} props
 */
export function WhereDialog({ collections, given, initial, onPick, onClose }) {
  const [where, setWhere] = useState(collections[0].id);
  const [name, setName] = useState(initial);
  /** @param {Event} event */
  const done = async (event) => {
    event.preventDefault();
    onClose();
    const id = where || (await createCollection(name.trim()))?.id;
    if (!id) return;
    navigate(`/knowledge/${encodeURIComponent(id)}`);
    onPick(id, given);
  };
  const choice = (/** @type {string} */ id, /** @type {string} */ label) => html`<label class="radio" key=${id}>
    <input type="radio" name="where" value=${id} checked=${where === id} onChange=${() => setWhere(id)} /><span dir="auto">${label}</span></label>`;
  return html`<${Modal} label=${t("adding.where", { n: given.length })} onClose=${onClose}><form onSubmit=${done}>
    <fieldset><legend><h2>${t("adding.where", { n: given.length })}</h2></legend>
      <div class="where-list">${collections.map((each) => choice(each.id, each.name || t("knowledge.unnamed")))}${choice("", t("knowledge.new"))}</div></fieldset>
    ${!where && html`<div class="field"><label for="where-name">${t("knowledge.name")}</label>
      <input id="where-name" class="input" dir="auto" maxlength=${LONGEST} autocomplete="off" value=${name} onInput=${(/** @type {Event} */ event) => setName(typed(event))} /></div>`}
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <button class="button primary" disabled=${!where && !name.trim()}>${t("adding.add")}</button></div>
  </form><//>`;
}
