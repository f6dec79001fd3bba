// A new folder: only its name is asked; the rest is on its own view.
import { html } from "htm/preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { createFolder } from "../state.js";
import { navigate } from "../router.js";
import { t } from "../strings.js";
import { Modal } from "../dialogs.js";

/** @param {{onClose: () => void}} props */
export function Overlay({ onClose }) {
  const [name, setName] = useState("");
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  useLayoutEffect(() => field.current?.focus(), []);
  /** @param {Event} event */
  const make = async (event) => {
    event.preventDefault();
    const id = name.trim() && (await createFolder(name));
    if (!id) return;
    onClose();
    navigate(`/folders/${encodeURIComponent(id)}`);
  };
  return html`<${Modal} label=${t("folder.new")} onClose=${onClose}>
    <form onSubmit=${make}>
      <h2>${t("folder.new")}</h2>
      <p class="muted">${t("folder.about")}</p>
      <div class="field"><label for="folder-name">${t("folder.name")}</label>
        <input ref=${field} id="folder-name" class="input" dir="auto" maxlength="200" value=${name} onInput=${(/** @type {any} */ event) => setName(event.target.value)} /></div>
      <div class="dialog-actions">
        <button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
        <button class="button primary" disabled=${!name.trim()}>${t("folder.create")}</button>
      </div>
    </form>
  <//>`;
}
