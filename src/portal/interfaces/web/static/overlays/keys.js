// The keys, as `?` shows them.
import { html } from "htm/preact";
import { t } from "../strings.js";
import { Modal, PaneHead } from "../dialogs.js";
import { useSheet } from "../sheets.js";
import { Keys, KEYS } from "../shortcuts.js";

/** @param {{onClose: () => void}} props */
export function Overlay({ onClose }) {
  useSheet("palette");
  /** @type {[string, [string, string[]][]][]} */
  const groups = [
    [t("keysHelp.everywhere"), [
      [t("keysHelp.palette"), KEYS.palette], [t("keysHelp.new"), KEYS.newChat], [t("keysHelp.find"), KEYS.search], [t("keysHelp.keys"), KEYS.help],
    ]],
    [t("keysHelp.writing"), [
      [t("keysHelp.send"), ["Enter"]], [t("keysHelp.line"), ["Shift", "Enter"]], [t("keysHelp.stop"), ["Esc"]], [t("keysHelp.last"), ["↑"]],
    ]],
    [t("keysHelp.list"), [
      [t("keysHelp.move"), ["↑", "↓"]], [t("keysHelp.rename"), ["F2"]], [t("keysHelp.delete"), ["Del"]], [t("keysHelp.choose"), ["Space"]],
      [t("keysHelp.extend"), ["Shift", "↓"]], [t("keysHelp.menu"), ["Shift", "F10"]],
    ]],
  ];
  return html`<${Modal} label=${t("keysHelp.title")} class="dialog is-wide keys-help" onClose=${onClose}>
    <${PaneHead} title=${t("keysHelp.title")} onClose=${onClose} />
    <div class="keys-groups" tabindex="0">${groups.map(([title, rows]) => html`<section key=${title}>
      <h3>${title}</h3>
      <dl>${rows.map(([what, keys]) => html`<div key=${what}><dt>${what}</dt><dd><${Keys} keys=${keys} /></dd></div>`)}</dl>
    </section>`)}</div>
  <//>`;
}
