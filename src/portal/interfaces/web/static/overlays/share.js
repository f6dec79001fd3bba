// Share one conversation by a link, or end that.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/share.js";
import { attempt } from "../state.js";
import { moment } from "../format.js";
import { t } from "../strings.js";
import { Modal } from "../dialogs.js";
import { useLoad } from "../load.js";
import { CopyLine } from "../settings/copy.js";

/** @param {{id: string, onClose: () => void}} props */
export function Overlay({ id, onClose }) {
  const { data, reload } = useLoad(() => api.shareOf(id), [id]);
  const [url, setUrl] = useState("");
  const make = () => attempt(async () => {
    setUrl((await api.share(id)).url);
    reload();
  });
  const end = () => attempt(async () => {
    await api.unshare(id);
    setUrl("");
    reload();
  });
  return html`<${Modal} label=${t("share.title")} onClose=${onClose}><div class="dialog-body"><h2>${t("share.title")}</h2>
    <p>${t(data && !data.allowed ? "share.off" : "share.text")}</p>
    ${url && html`<${CopyLine} text=${url} />`}
    ${data?.shared_at && html`<p class="muted small">${t("share.since", { when: moment(data.shared_at) })}</p>`}
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.close")}</button>
      ${data?.shared_at && html`<button type="button" class="button danger" onClick=${end}>${t("share.end")}</button>`}
      ${data?.allowed && html`<button type="button" class="button primary" onClick=${make}>${t(data.shared_at ? "share.renew" : "share.make")}</button>`}</div></div><//>`;
}
