// One's data: bringing it in, taking it along, and for those who run this Portal the backups of everything.
import { html } from "htm/preact";
import { me, runsPortal } from "../state.js";
import { t } from "../strings.js";
import { Exporting } from "../exchange/exporting.js";
import { Importing } from "../exchange/importing.js";
import { Backups } from "./backups.js";

export function Data() {
  return html`${me.value?.user?.role !== "guest" && html`<${Importing} />`}<${Exporting} />
    ${runsPortal.value && html`<section class="column" aria-labelledby="backups-title"><h3 id="backups-title">${t("backups.title")}</h3><${Backups} /></section>`}`;
}
