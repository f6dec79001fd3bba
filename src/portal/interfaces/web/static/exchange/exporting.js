// Taking along all that is one's own, as a zip of open formats.
import { html } from "htm/preact";
import { exportAddress } from "../api/exchange.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

export function Exporting() {
  return html`<section class="column" aria-labelledby="export-title"><h3 id="export-title">${t("exchange.export")}</h3>
    <p class="muted">${t("exchange.exportAbout")} <a href="/manual/data">${t("approvals.more")}</a></p>
    <div class="row"><a class="button" href=${exportAddress} download><${Icon} name="download" />${t("exchange.exportAll")}</a></div>
  </section>`;
}
