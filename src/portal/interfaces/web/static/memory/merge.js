// Several memories made one; their wordings become its history.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { mergeMemories } from "../state/memory.js";
import { Modal } from "../dialogs.js";
import { t } from "../strings.js";

/** @param {{memories: import("../types.js").Memory[], onDone: () => void, onClose: () => void}} props */
export function MergeDialog({ memories, onDone, onClose }) {
  const [text, setText] = useState(memories.map((one) => one.text).join("\n"));
  /** @param {Event} event */
  const merge = async (event) => {
    event.preventDefault();
    if (!(await mergeMemories(memories.map(({ id }) => id), text.trim()))) return;
    onClose();
    onDone();
  };
  return html`<${Modal} label=${t("memory.mergeTitle", { n: memories.length })} onClose=${onClose}><form onSubmit=${merge}>
    <h2>${t("memory.mergeTitle", { n: memories.length })}</h2><p>${t("memory.mergeText")}</p>
    <textarea class="input" dir="auto" rows="5" maxlength="2000" aria-label=${t("memory.text")} autofocus value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button><button class="button primary" disabled=${!text.trim()}>${t("memory.merge")}</button></div>
  </form><//>`;
}
