// A new title for one conversation, wherever it stands in the list.
import { html } from "htm/preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { rename } from "../state.js";
import { t } from "../strings.js";
import { Modal } from "../dialogs.js";

/** @param {{id: string, title: string, onClose: () => void}} props */
export function Overlay({ id, title, onClose }) {
  const [text, setText] = useState(title);
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  useLayoutEffect(() => field.current?.select(), []);
  /** @param {Event} event */
  const save = (event) => {
    event.preventDefault();
    onClose();
    rename(id, text);
  };
  return html`<${Modal} label=${t("palette.rename")} onClose=${onClose}>
    <form onSubmit=${save}>
      <h2>${t("palette.rename")}</h2>
      <div class="field"><label for="new-title">${t("rail.titleField")}</label>
        <input ref=${field} id="new-title" class="input" dir="auto" maxlength="300" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></div>
      <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
        <button class="button primary" disabled=${!text.trim()}>${t("rail.rename")}</button></div>
    </form>
  <//>`;
}
