// In which chat shall this conversation go on?
import { html } from "htm/preact";
import * as api from "../api/channels.js";
import { attempt, toast } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { Modal } from "../dialogs.js";
import { useLoad } from "../load.js";

/** @param {{id: string, onClose: () => void}} props */
export function Overlay({ id, onClose }) {
  const { data, failed } = useLoad(api.targets);
  /** @param {{target: string, title: string}} chosen */
  const choose = (chosen) => {
    onClose();
    attempt(async () => {
      await api.continueIn(id, chosen.target);
      toast(t("continue.done", { name: chosen.title }));
    });
  };
  return html`<${Modal} label=${t("continue.title")} onClose=${onClose}>
    <div class="dialog-body">
      <h2>${t("continue.title")}</h2>
      ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
      ${data && !data.data.length && html`<p>${t("continue.none")} <a href="/settings/channels" onClick=${onClose}>${t("settings.channels")}</a></p>`}
      <ul class="choices">
        ${data?.data.map((one) => html`<li key=${one.target}><button type="button" class="choice" onClick=${() => choose(one)}>
          <${Icon} name="send" /><span class="grow clip" dir="auto">${one.title}</span><span class="small muted">${one.target.split(":")[0]}</span></button></li>`)}
      </ul>
      <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t("common.cancel")}</button></div>
    </div>
  <//>`;
}
