// Where shall these conversations go: a folder, no folder, or a new one.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { createFolder, folders, listedConversation, move } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { Modal } from "../dialogs.js";

/** @param {{ids: string[], onClose: () => void}} props */
export function Overlay({ ids, onClose }) {
  const [name, setName] = useState("");
  const now = ids.length === 1 ? listedConversation(ids[0])?.folder_id ?? null : undefined;
  /** @param {string|null} folder */
  const choose = (folder) => {
    onClose();
    move(ids, folder);
  };
  /** @param {Event} event */
  const make = async (event) => {
    event.preventDefault();
    const made = name.trim() && (await createFolder(name));
    if (made) choose(made);
  };
  return html`<${Modal} label=${t("move.title", { n: ids.length })} onClose=${onClose}>
    <div class="dialog-body">
      <h2>${t("move.title", { n: ids.length })}</h2>
      <ul class="choices">
        ${[...folders.value, null].map((folder) => html`<li key=${folder?.id ?? "none"}>
          <button type="button" class="choice" aria-current=${now === (folder?.id ?? null) ? "true" : undefined} onClick=${() => choose(folder?.id ?? null)}>
            <${Icon} name=${folder ? "folder" : "close"} /><span class="grow clip" dir="auto">${folder?.name ?? t("move.none")}</span>
            ${now === (folder?.id ?? null) && html`<${Icon} name="check" />`}
          </button></li>`)}
      </ul>
      <form class="row" onSubmit=${make}>
        <input class="input grow" dir="auto" maxlength="200" aria-label=${t("folder.newName")} placeholder=${t("folder.newName")} value=${name}
          onInput=${(/** @type {any} */ event) => setName(event.target.value)} />
        <button class="button" disabled=${!name.trim()}>${t("move.toNew")}</button>
      </form>
      <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button></div>
    </div>
  <//>`;
}
