// What this Portal is: version, API address, who is signed in.
import { html } from "htm/preact";
import { me } from "../state.js";
import { t } from "../strings.js";

export function About() {
  const about = me.value;
  return html`<p>${t("settings.aboutText")}</p>
    <dl class="facts">
      <dt>${t("settings.version")}</dt><dd>${about?.version ?? "–"}</dd>
      <dt>${t("settings.apiBase")}</dt><dd class="mono" dir="ltr">${about?.api_base ?? "–"}</dd>
      <dt>${t("settings.person")}</dt><dd dir="auto">${about?.user?.name ?? "–"}</dd>
      <dt>${t("settings.licence")}</dt><dd>Apache-2.0</dd>
    </dl>
    <p><a href="/manual">${t("settings.readManual")}</a></p>`;
}
