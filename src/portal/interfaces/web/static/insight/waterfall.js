// Where the time of one turn went: a bar for each step, as a table, each row with what was noted of it.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/turns.js";
import { duration, moment, number } from "../format.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { useSheet } from "../sheets.js";
import { has, t } from "../strings.js";
import { bar, depths, slowest } from "./spans.js";

/** @typedef {import("./spans.js").Span} Span */

/** @param {{id: string}} props */
export function Waterfall({ id }) {
  useSheet("turns");
  const { data, failed } = useLoad(() => api.trace(id), [id]);
  if (failed) return html`<p class="muted">${failed.status === 404 ? t("turns.unknown") : t("settings.loadFailed")}</p>`;
  if (!data) return null;
  const most = slowest(data.spans);
  const what = most && cause(most);
  const whole = Math.max(data.ms, ...data.spans.map((one) => one.start + one.ms));
  return html`<div class="column">
    <dl class="facts">
      <dt>${t("turns.took")}</dt><dd>${brief(data.ms)}</dd>
      <dt>${t("route.asked")}</dt><dd dir="ltr">${data.workspace}</dd>
      <dt>${t("route.answered")}</dt><dd dir="ltr">${data.model}</dd>
      <dt>${t("turns.when")}</dt><dd>${moment(data.created_at)}</dd>
      <dt>${t("turns.ended")}</dt><dd>${ending(data.status)}</dd>
    </dl>
    ${data.error && html`<p class="bad" dir="auto">${data.error}</p>`}
    ${most && what && html`<p class="turn-most">${t("turns.most", { what, time: brief(most.ms) })}</p>`}
    <table class="waterfall"><caption class="sr-only">${t("turns.waterfall")}</caption>
      <colgroup><col class="span-names" /><col /><col class="span-times" /></colgroup>
      <thead class="sr-only"><tr><th scope="col">${t("turns.step")}</th><th scope="col">${t("turns.begins")}</th><th scope="col">${t("turns.takes")}</th></tr></thead>
      <tbody>${rows(data.spans, whole)}</tbody></table>
    ${data.dropped > 0 && html`<p class="small muted">${t("turns.dropped", { n: data.dropped })}</p>`}
  </div>`;
}

/** @param {Span[]} spans @param {number} whole */
function rows(spans, whole) {
  const deep = depths(spans);
  return spans.map((one, place) => html`<${Row} key=${one.id} one=${one} deep=${Math.min(deep[place], 4)} whole=${whole} />`);
}

/** @param {{one: Span, deep: number, whole: number}} props */
function Row({ one, deep, whole }) {
  const [open, setOpen] = useState(false);
  const [begins, width] = bar(one, whole);
  const place = (/** @type {HTMLElement|null} */ element) => {
    if (element) [element.style.insetInlineStart, element.style.inlineSize] = [`${begins}%`, `${width}%`];
  };
  return html`<tr class=${`deep-${deep}${one.error ? " bad" : ""}`}>
      <th scope="row"><button type="button" class="span-name" aria-expanded=${open} onClick=${() => setOpen(!open)}>${one.error && html`<${Icon} name="warn" label=${t("turns.failed")} />`}<span dir="auto">${title(one)}</span></button></th>
      <td><span class="span-track" aria-hidden="true"><span class=${`span-bar is-${one.kind}`} ref=${place}></span></span><span class="sr-only">${t("turns.after", { time: duration(one.start) })}</span></td>
      <td class="num">${brief(one.ms)}</td></tr>
    ${open && html`<tr class="span-more"><td colspan="3">${one.error && html`<p class="bad" dir="auto">${one.error}</p>`}
      <dl class="facts"><dt>${t("turns.begins")}</dt><dd>${brief(one.start)}</dd>${notes(one).map(([name, value]) => html`<dt key=${name}>${name}</dt><dd dir="auto">${value}</dd>`)}</dl></td></tr>`}`;
}

/** @param {number} ms  to the millisecond where it is short */
export const brief = (ms) => (ms < 1000 ? t("turns.ms", { n: ms < 10 ? ms : Math.round(ms) }) : duration(ms));

/** @param {string} status */
export const ending = (status) => (has(`turns.status.${status}`) ? t(/** @type {any} */ (`turns.status.${status}`)) : status);

/** What a step is, in words. @param {Span} one */
export function title(one) {
  const exact = one.kind === "recall" ? `turns.recall.${one.name}` : `turns.aside.${one.name}`;
  if (one.kind in { recall: 1, aside: 1 } && has(exact)) return t(/** @type {any} */ (exact));
  return has(`turns.kind.${one.kind}`) ? t(/** @type {any} */ (`turns.kind.${one.kind}`), { name: one.name }) : one.name;
}

/** What made a turn slow, in words. @param {{one: Span, waited: boolean}} most */
function cause({ one, waited }) {
  if (waited) return t("turns.waiting", { name: String(one.attributes?.backend ?? one.name) });
  return one.kind === "turn" ? t("turns.between") : title(one);
}

/** What was noted of it. @param {Span} one @returns {[string, string][]} */
function notes(one) {
  return Object.entries(one.attributes ?? {})
    .filter(([name]) => has(`turns.note.${name}`))
    .map(([name, value]) => [t(/** @type {any} */ (`turns.note.${name}`)), shown(name, value)]);
}

/** @param {string} name @param {unknown} value */
function shown(name, value) {
  if (typeof value !== "number") return String(value);
  return name.endsWith("_ms") ? brief(value) : number(value);
}
