// What was used: calls and tokens, by day and model; for those who run Portal by person, too.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/insight.js";
import { count, duration, number } from "../format.js";
import { Icon } from "../icons.js";
import { Bars, Share } from "../insight/chart.js";
import { useLoad } from "../load.js";
import { useSheet } from "../sheets.js";
import { runsPortal } from "../state.js";
import { locale, t } from "../strings.js";

/** @typedef {import("../api/insight.js").Used} Row @typedef {"tokens"|"calls"|"failures"} Measure @typedef {"model"|"user"|"workspace"} By */

const SPANS = [7, 30, 90, 365];
const MEASURES = /** @type {const} */ (["tokens", "calls", "failures"]);

export function Usage() {
  useSheet("insight");
  const [days, setDays] = useState(30);
  const [everybody, setEverybody] = useState(false);
  const [measure, setMeasure] = useState(/** @type {Measure} */ ("tokens"));
  const wanted = (/** @type {string} */ by) => ({ days, by, timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", everybody: /** @type {"true"|"false"} */ (String(everybody)) });
  const { data, failed } = useLoad(() => api.used(wanted("day,model")), [days, everybody]);
  const rows = data?.data ?? [];
  return html`<p class="muted">${t("settings.usageAbout", { n: days })} <a href="/manual/monitoring#usage">${t("usage.about")}</a></p>
    <div class="row wrap usage-choices">
      <${Choice} label=${t("usage.span")} value=${String(days)} options=${SPANS.map((span) => [String(span), number(span)])} onChange=${(/** @type {string} */ to) => setDays(Number(to))} />
      <${Choice} label=${t("usage.measure")} value=${measure} options=${MEASURES.map((each) => [each, t(`usage.${each}`)])} onChange=${setMeasure} />
      ${runsPortal.value && html`<${Choice} label=${t("usage.whose")} value=${String(everybody)} options=${[["false", t("usage.mine")], ["true", t("usage.everybody")]]} onChange=${(/** @type {string} */ to) => setEverybody(to === "true")} />`}
      <span class="grow"></span><a class="button" download href=${api.usedAsTable(wanted(everybody ? "day,user,model" : "day,model"))}><${Icon} name="download" /><span>${t("usage.download")}</span></a></div>
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${data && !rows.length && html`<p class="muted">${t("settings.usageNone")}</p>`}
    ${data?.has_more && html`<p class="notice"><${Icon} name="info" /><span class="grow">${t("usage.cut")}</span></p>`}
    ${rows.length > 0 && html`<${Days} rows=${rows} days=${days} measure=${measure} />
      <${Split} by="model" title=${t("usage.byModel")} wanted=${wanted} inputs=${[days, everybody]} measure=${measure} />
      ${everybody && html`<${Split} by="user" title=${t("usage.byPerson")} wanted=${wanted} inputs=${[days, everybody]} measure=${measure} />`}
      <${Split} by="workspace" title=${t("usage.byWorkspace")} wanted=${wanted} inputs=${[days, everybody]} measure=${measure} />
      <section class="column" aria-labelledby="usage-table"><h3 id="usage-table">${t("usage.byDay")}</h3><${Table} rows=${rows} /></section>`}`;
}

/** @param {{label: string, value: string, options: [string, string][], onChange: (to: any) => void}} props */
function Choice({ label, value, options, onChange }) {
  return html`<label class="row"><span class="label">${label}</span><select class="input" onChange=${(/** @type {any} */ event) => onChange(event.target.value)}>${options.map(([id, words]) =>
    html`<option key=${id} value=${id} selected=${id === value}>${words}</option>`)}</select></label>`;
}

/** @param {Row} row @param {Measure} measure */
const parts = (row, measure) => (measure === "tokens" ? [row.output_tokens, row.input_tokens] : [row[measure]]);

/** @param {{rows: Row[], days: number, measure: Measure}} props */
function Days({ rows, days, measure }) {
  const width = parts(rows[0], measure).length;
  /** @type {Map<string, number[]>} */
  const sums = new Map();
  for (const row of rows) {
    const sum = sums.get(row.day ?? "") ?? Array(width).fill(0);
    sums.set(row.day ?? "", sum.map((value, part) => value + parts(row, measure)[part]));
  }
  const points = lastDays(days).map((each) => ({ day: each, values: sums.get(each) ?? Array(width).fill(0) }))
    .map(({ day, values }) => ({ label: t("usage.value", { name: dayName(day), value: number(values.reduce((sum, value) => sum + value, 0)) }), values }));
  const highest = Math.max(0, ...points.map(({ values }) => values.reduce((sum, value) => sum + value, 0)));
  const names = lastDays(days);
  return html`<${Bars} points=${points} label=${t("usage.chartDays", { what: t(`usage.${measure}`) })} most=${count(highest)} from=${dayName(names[0])} to=${dayName(names[names.length - 1])} />
    ${measure === "tokens" && html`<p class="legend small muted"><span class="legend-part is-0">${t("settings.tokensOut")}</span> <span class="legend-part is-1">${t("settings.tokensIn")}</span></p>`}`;
}

/** The days up to today, such as 2026-11-22. @param {number} n */
function lastDays(n) {
  const today = new Date();
  return Array.from({ length: n }, (_, ago) => new Date(today.getFullYear(), today.getMonth(), today.getDate() - (n - 1 - ago)))
    .map((date) => [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-"));
}

/** @param {{by: By, title: string, wanted: (by: string) => import("../api/insight.js").Wanted, inputs: unknown[], measure: Measure}} props */
function Split({ by, title, wanted, inputs, measure }) {
  const { data } = useLoad(() => api.used(wanted(by)), inputs);
  const size = (/** @type {Row} */ row) => parts(row, measure).reduce((sum, value) => sum + value, 0);
  const rows = [...(data?.data ?? [])].sort((a, b) => size(b) - size(a));
  if (!rows.length || (by === "workspace" && rows.every((row) => !row.workspace))) return null;
  const most = size(rows[0]);
  return html`<section class="column" aria-labelledby=${`usage-${by}`}><h3 id=${`usage-${by}`}>${title}</h3>
    <div class="table-frame" tabindex="0" role="group" aria-labelledby=${`usage-${by}`}><table class="table usage-table usage-split">
      <thead><tr><th scope="col"><span class="sr-only">${title}</span></th><th scope="col" class="num">${t("settings.calls")}</th><th scope="col" class="num">${t("usage.failures")}</th>
        <th scope="col" class="num">${t("usage.tokens")}</th><th scope="col" class="num">${t("usage.first")}</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row[by]}><th scope="row"><span dir="auto">${nameOf(row, by)}</span><${Share} value=${size(row)} most=${most} /></th>
        <td class="num">${number(row.calls)}</td><td class="num">${number(row.failures)}</td><td class="num">${count(row.input_tokens + row.output_tokens)}</td>
        <td class="num">${row.first_milliseconds === null ? "–" : duration(row.first_milliseconds)}</td></tr>`)}</tbody></table></div></section>`;
}

/** @param {Row} row @param {By} by */
const nameOf = (row, by) => (by === "user" ? row.name || t("usage.gone") : by === "workspace" ? row.workspace || t("usage.noWorkspace") : row.model);

/** @param {{rows: Row[]}} props */
function Table({ rows }) {
  const sum = (/** @type {"calls"|"input_tokens"|"output_tokens"} */ field) => number(rows.reduce((total, row) => total + row[field], 0));
  return html`<div class="table-frame" tabindex="0" role="group" aria-label=${t("settings.usage")}><table class="table usage-table">
    <thead><tr><th scope="col">${t("settings.day")}</th><th scope="col">${t("models.name")}</th><th scope="col" class="num">${t("settings.calls")}</th>
      <th scope="col" class="num">${t("settings.tokensIn")}</th><th scope="col" class="num">${t("settings.tokensOut")}</th></tr></thead>
    <tbody>${rows.map((row, index) => html`<tr key=${`${row.day}${row.model}`} class=${row.day === rows[index - 1]?.day ? "same-day" : ""}>
      <th scope="row">${dayName(row.day ?? "")}</th><td dir="ltr">${row.model}</td><td class="num">${number(row.calls)}</td>
      <td class="num">${number(row.input_tokens)}</td><td class="num">${number(row.output_tokens)}</td></tr>`)}</tbody>
    <tfoot><tr><th scope="row" colspan="2">${t("settings.total")}</th><td class="num">${sum("calls")}</td><td class="num">${sum("input_tokens")}</td><td class="num">${sum("output_tokens")}</td></tr></tfoot>
  </table></div>`;
}

/** @param {string} day  such as 2026-11-22, of no time zone */
const dayName = (day) => new Intl.DateTimeFormat(locale(), { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${day}T00:00:00Z`));
