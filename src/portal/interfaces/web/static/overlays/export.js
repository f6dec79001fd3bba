// Take one conversation along, to read it or to bring it in elsewhere.
import { html } from "htm/preact";
import { conversationAddress } from "../api/exchange.js";
import { Modal } from "../dialogs.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @param {{id: string, onClose: () => void}} props */
export function Overlay({ id, onClose }) {
  return html`<${Modal} label=${t("export.title")} onClose=${onClose}><div class="dialog-body"><h2>${t("export.title")}</h2>
    <p>${t("export.text")}</p>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button>
      <a class="button" href=${conversationAddress(id, "json")} download onClick=${onClose}><${Icon} name="code" />JSON</a>
      <a class="button primary" href=${conversationAddress(id, "markdown")} download onClick=${onClose}><${Icon} name="file" />Markdown</a></div></div><//>`;
}
