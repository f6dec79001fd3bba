// The slow and the failed turns of everybody, for those who run this Portal: which, whose, how long, why.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api/turns.js";
import { moment } from "../format.js";
import { useNear, usePages } from "../load.js";
import { useSheet } from "../sheets.js";
import { closeInspector, inspect } from "../state.js";
import { t } from "../strings.js";
import { brief, ending } from "./waterfall.js";

/** @typedef {import("../api/turns.js").Turn} Turn */

const SORTS = /** @type {const} */ (["slow", "failed", "recent"]);
const HOURS = /** @type {const} */ ([1, 24, 168, 720]);

export function Turns() {
  useSheet("turns");
  useEffect(() => closeInspector, []);
  const [sort, setSort] = useState(/** @type {typeof SORTS[number]} */ ("slow"));
  const [hours, setHours] = useState(24);
  const pages = usePages(({ limit, cursor }) => api.turns({ sort, since: Date.now() / 1000 - hours * 3600, limit, cursor }), [sort, hours], 50);
  const more = useNear(pages.more);
  return html`<p class="muted">${t("turns.about")}</p>
    <div class="row wrap">
      <label class="row"><span class="label">${t("turns.show")}</span><select class="input" value=${sort} onChange=${(/** @type {any} */ event) => setSort(event.target.value)}>${SORTS.map((each) => html`<option key=${each} value=${each}>${t(`turns.sort.${each}`)}</option>`)}</select></label>
      <label class="row"><span class="label">${t("turns.since")}</span><select class="input" value=${hours} onChange=${(/** @type {any} */ event) => setHours(Number(event.target.value))}>${HOURS.map((each) => html`<option key=${each} value=${each}>${t(`turns.hours.${each}`)}</option>`)}</select></label>
      <button type="button" class="button" onClick=${pages.reload}>${t("turns.again")}</button></div>
    ${pages.failed && html`<p class="bad" role="alert">${pages.failed.status === 403 ? pages.failed.message : t("settings.loadFailed")}</p>`}
    ${pages.loaded && !pages.failed && !pages.data.length && html`<p class="muted">${t(sort === "failed" ? "turns.noneFailed" : "turns.none")}</p>`}
    <ul class="lines" aria-label=${t(`turns.sort.${sort}`)}>${pages.data.map((one) => html`<${Line} key=${one.response_id} one=${one} />`)}</ul>
    ${pages.next && html`<p ref=${more}><button type="button" class="button" onClick=${pages.more}>${t("turns.more")}</button></p>`}`;
}

/** @param {{one: Turn}} props */
function Line({ one }) {
  const failed = one.status === "failed";
  const models = one.workspace === one.model ? one.model : `${one.workspace} → ${one.model}`;
  return html`<li><button type="button" class="turn-line" onClick=${() => inspect({ kind: "trace", id: one.response_id })}>
    <span class="turn-what"><strong dir="ltr">${models}</strong>${one.status !== "completed" && html` <span class=${failed ? "tag bad" : "tag"}>${ending(one.status)}</span>`}</span>
    <span class="turn-time">${brief(one.ms)}</span>
    <span class="turn-who small muted" dir="auto">${[one.person, moment(one.created_at), one.door].filter(Boolean).join(" · ")}</span>
    ${one.error && html`<span class="turn-why small bad" dir="auto">${one.error}</span>`}
  </button></li>`;
}
