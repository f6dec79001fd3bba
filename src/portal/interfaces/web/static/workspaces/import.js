// Take over workspaces from a file that another program exported; says of each entry what could not come along.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { importWorkspaces } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";

/** @typedef {import("../types.js").Imported} Imported */

/** @param {{onClose: () => void}} props */
export function ImportFile({ onClose }) {
  const [told, setTold] = useState(/** @type {Imported[]|null} */ (null));
  /** @param {Event} event */
  const take = async (event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    const file = field.files?.[0];
    if (file) setTold(await importWorkspaces(await file.text()));
    field.value = "";
  };
  const made = told?.filter((each) => each.taken).length ?? 0;
  return html`<section class="card column" aria-labelledby="ws-import"><div class="card-head"><h2 id="ws-import" class="grow">${t("workspaces.importTitle")}</h2>
      <button type="button" class="ghost icon-only" aria-label=${t("common.close")} onClick=${onClose}><${Icon} name="close" /></button></div>
    <p class="small muted">${t("workspaces.importHint")}</p>
    <div class="row"><label class="button file-button"><${Icon} name="download" />${t("workspaces.importChoose")}
      <input type="file" class="sr-only" accept=".json,.yaml,.yml" onChange=${take} /></label></div>
    <div role="status">${told && html`<p>${t("workspaces.importDone", { n: made })}</p>`}</div>
    ${told && html`<ul class="lines">${told.map((each, at) => html`<li key=${at} class="line"><div class="grow">
      <p>${each.name ? html`<a href=${`/workspaces/${encodeURIComponent(each.name)}`}>${each.entry}</a>` : html`<strong>${each.entry}</strong> <span class="small bad">${t("workspaces.importRefused")}</span>`}</p>
      ${each.notes.map((note) => html`<p key=${note} class="small muted">${note}</p>`)}</div></li>`)}</ul>`}
  </section>`;
}
