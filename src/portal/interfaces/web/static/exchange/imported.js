// One file that is brought in: what was found in it, how far it is, and the count check at its end.
import { html } from "htm/preact";
import * as api from "../api/exchange.js";
import { attempt, toast } from "../state.js";
import { moment, number } from "../format.js";
import { Icon } from "../icons.js";
import { has, t } from "../strings.js";

/** @typedef {api.Import} Import */

/** @param {{one: Import, onDone: () => unknown}} props */
export function Imported({ one, onDone }) {
  const going = one.status === "reading" || one.status === "importing";
  const ending = t(going ? "exchange.stop" : one.status === "ready" ? "exchange.discard" : "exchange.forget");
  const start = () => attempt(async () => {
    await api.start(one.id);
    onDone();
  });
  const forget = () => attempt(async () => {
    await api.forget(one.id);
    toast(t(going ? "exchange.stopped" : "exchange.forgotten"));
    onDone();
  });
  return html`<li class="import" aria-label=${one.filename}>
    <div class="row wrap import-head"><p class="grow import-name" dir="auto"><strong>${one.filename}</strong>
      <span class="small muted">${[one.source && sourceName(one.source), moment(one.created_at)].filter(Boolean).join(" · ")}</span></p>
      ${one.status === "ready" && html`<button type="button" class="button primary" onClick=${start}>${t("exchange.start")}</button>`}
      <button type="button" class="button" aria-label=${t("exchange.named", { what: ending, name: one.filename })} onClick=${forget}>${ending}</button></div>
    <${State} one=${one} />
    ${one.report && html`<${Counts} report=${one.report} done=${one.status === "done"} />`}
    ${one.report && html`<${Left} report=${one.report} />`}
  </li>`;
}

/** @param {string} source */
const sourceName = (source) => (has(`exchange.from.${source}`) ? t(/** @type {any} */ (`exchange.from.${source}`)) : source);

/** @param {{one: Import}} props */
function State({ one }) {
  if (one.status === "failed") return html`<div class="notice import-problem" role="alert"><${Icon} name="warn" /><p>${one.problem}</p></div>`;
  if (one.status === "ready") return html`<p role="status">${t("exchange.ready")}</p>`;
  if (one.status === "done") return html`<p role="status" class="row import-check"><${Icon} name=${one.report?.whole ? "check" : "warn"} /><span>${t(one.report?.whole ? "exchange.whole" : "exchange.notWhole")}</span></p>`;
  const words = t(one.status === "reading" ? "exchange.reading" : "exchange.importing");
  return html`<div class="column" role="status"><p>${words}</p><progress max="1" value=${one.progress} aria-label=${words}></progress></div>`;
}

/** Found, brought in, here already, left out, of each kind. @param {{report: api.Report, done: boolean}} props */
function Counts({ report, done }) {
  const left = (/** @type {string} */ kind) => report.reasons.filter((each) => each.kind === kind).reduce((sum, { count }) => sum + count, 0);
  const rows = Object.keys(report.found);
  if (!rows.length) return null;
  /** @type {[string, (kind: string) => number][]} */
  const all = [[t("exchange.known"), (kind) => report.known[kind] ?? 0], [t("exchange.left"), left]];
  /** @type {[string, (kind: string) => number][]} */
  const columns = [[t("exchange.found"), (kind) => report.found[kind]], [t(done ? "exchange.stored" : "exchange.toStore"), (kind) => report.stored[kind] ?? 0],
    ...all.filter(([, count]) => rows.some(count))];
  return html`<div class="table-frame" tabindex="0" role="group" aria-label=${t("exchange.counts")}><table class="table import-counts">
    <thead><tr><th scope="col"><span class="sr-only">${t("exchange.kind")}</span></th>${columns.map(([head]) => html`<th key=${head} scope="col" class="num">${head}</th>`)}</tr></thead>
    <tbody>${rows.map((kind) => html`<tr key=${kind}><th scope="row">${t(/** @type {any} */ (`exchange.kind.${kind}`))}</th>
      ${columns.map(([head, count]) => html`<td key=${head} class="num">${number(count(kind))}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** What was left out, and why. @param {{report: api.Report}} props */
function Left({ report }) {
  if (!report.reasons.length) return null;
  return html`<details class="import-left"><summary>${t("exchange.why")}</summary>
    <ul class="small">${report.reasons.map(({ kind, reason, count }) => html`<li key=${kind + reason}>${t(/** @type {any} */ (`exchange.kind.${kind}`))}, ${number(count)}: ${reason}</li>`)}</ul>
    ${Boolean(report.skipped.length) && html`<ul class="small muted import-skipped" tabindex="0" aria-label=${t("exchange.skipped")}>${report.skipped.map(({ name, reason }, at) => html`<li key=${at}><span dir="auto">${name || t("exchange.untitled")}</span>: ${reason}</li>`)}</ul>`}
  </details>`;
}
