// What is wrong with the installation and what mends it, over every view, for those who run it.
import { html } from "htm/preact";
import { troubles } from "./state/news.js";
import { hideTroubles, named } from "./state/trouble.js";
import { Icon } from "./icons.js";
import { t } from "./strings.js";

/** @typedef {import("./api/insight.js").Condition} Condition */

export function Trouble() {
  const all = troubles.value;
  if (!all.length) return null;
  const bad = all.some((one) => one.state !== "note");
  return html`<section class=${`notice trouble ${bad ? "is-warn" : ""}`} aria-label=${t("trouble.label")}>
    <${Icon} name=${bad ? "warn" : "info"} />
    <details class="grow">
      <summary><span role="status">${all.length === 1 ? title(all[0]) : t("trouble.several", { n: all.length, first: title(all[0]) })}</span></summary>
      <ul>${all.map((one) => html`<li key=${named([one])}><strong dir="auto">${title(one)}</strong>${" "}<span dir="auto">${one.detail}</span>
        ${one.remedy && html`<p class="muted" dir="auto">${t("trouble.remedy", { remedy: one.remedy })}</p>`}</li>`)}</ul>
    </details>
    <button type="button" class="ghost icon-only" aria-label=${t("trouble.hide")} onClick=${hideTroubles}><${Icon} name="close" /></button>
  </section>`;
}

/** @type {Record<string, import("./strings.js").Key>} */
const TITLES = {
  backend: "trouble.backend", channel: "trouble.channel", tool_server: "trouble.toolServer", part: "trouble.part",
  media_engine: "trouble.mediaEngine", speech_engine: "trouble.speechEngine", database: "trouble.database", disk: "trouble.disk", settings: "trouble.settings", certificate: "trouble.certificate",
};

/** @param {Condition} one */
function title(one) {
  if (one.kind === "settings" && one.state === "note") return t("trouble.restart");
  return TITLES[one.kind] ? t(TITLES[one.kind], { name: one.name }) : `${one.kind} ${one.name}`;
}
