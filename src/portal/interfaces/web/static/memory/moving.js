// Memories leaving and coming: handed out as a file, brought in from one, or all forgotten.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import * as library from "../api/memory.js";
import { attempt, toast } from "../state.js";
import { forgetAll } from "../state/memory.js";
import { Confirm, Modal } from "../dialogs.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { t } from "../strings.js";

const MOST_SHOWN = 100;

export function MemoryMenu() {
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const [asking, setAsking] = useState(false);
  const [coming, setComing] = useState(/** @type {{content: string, texts: string[]}|null} */ (null));
  const chosen = async () => {
    const file = input.current?.files?.[0];
    if (!input.current || !file) return;
    const content = await file.text();
    input.current.value = "";
    await attempt(async () => setComing({ content, texts: (await library.importMemories(content, true)).data.map(({ text }) => text) }));
  };
  return html`<${Menu} label=${t("common.more")} button=${html`<${Icon} name="more" />`} align="end">${(/** @type {() => void} */ close) => html`
      <a role="menuitem" tabindex="-1" href=${library.exportAddress} download="portal-memories.json" onClick=${close}><${Icon} name="download" />${t("memory.export")}</a>
      <button type="button" role="menuitem" tabindex="-1" onClick=${() => { close(); input.current?.click(); }}><${Icon} name="attach" />${t("memory.import")}</button>
      <button type="button" role="menuitem" tabindex="-1" class="danger" onClick=${() => { close(); setAsking(true); }}><${Icon} name="trash" />${t("memory.forgetAll")}</button>`}<//>
    <input ref=${input} type="file" accept=".json,.txt,.md" hidden aria-label=${t("memory.import")} onChange=${chosen} />
    ${asking && html`<${Confirm} title=${t("memory.forgetAllTitle")} text=${t("memory.forgetAllText")} action=${t("memory.forgetAll")} danger=${true} onYes=${forgetAll} onClose=${() => setAsking(false)} />`}
    ${coming && html`<${Incoming} coming=${coming} onClose=${() => setComing(null)} />`}`;
}

/** What would be taken over, before it is. @param {{coming: {content: string, texts: string[]}, onClose: () => void}} props */
function Incoming({ coming: { content, texts }, onClose }) {
  const take = async () => {
    onClose();
    await attempt(async () => {
      const { data } = await library.importMemories(content, false);
      toast(t("memory.imported", { n: data.filter((each) => each.new).length }));
    });
  };
  return html`<${Modal} label=${t("memory.importTitle", { n: texts.length })} onClose=${onClose}><div class="dialog-body">
    <h2>${t("memory.importTitle", { n: texts.length })}</h2>
    <ul class="incoming small" tabindex="0" aria-label=${t("memory.list")}>${texts.slice(0, MOST_SHOWN).map((text, at) => html`<li key=${at} dir="auto">${text}</li>`)}</ul>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button><button type="button" class="button primary" onClick=${take}>${t("memory.importDo")}</button></div>
  </div><//>`;
}
