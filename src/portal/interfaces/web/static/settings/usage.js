// What was used: calls and tokens, by day and model.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { number } from "../format.js";
import { locale, t } from "../strings.js";
import { useLoad } from "../load.js";

/** @typedef {{day: string, model: string, calls: number, input_tokens: number, output_tokens: number}} Row */

const SPANS = [7, 30, 90, 365];

export function Usage() {
  const [days, setDays] = useState(30);
  const { data, failed } = useLoad(() => api.usage(days), [days]);
  /** @type {Row[]} */
  const rows = [...(data?.data ?? [])].sort((a, b) => (a.day < b.day ? 1 : a.day > b.day ? -1 : b.calls - a.calls));
  return html`<div class="row wrap"><p class="muted grow">${t("settings.usageAbout", { n: days })}</p>
      <label class="row"><span class="label">${t("settings.usageDays")}</span>
        <select class="input" onChange=${(/** @type {any} */ event) => setDays(Number(event.target.value))}>${SPANS.map((span) => html`<option key=${span} value=${span} selected=${span === days}>${number(span)}</option>`)}</select></label></div>
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${data && !rows.length && html`<p class="muted">${t("settings.usageNone")}</p>`}
    ${rows.length > 0 && html`<${Table} rows=${rows} />`}`;
}

/** @param {{rows: Row[]}} props */
function Table({ rows }) {
  const sum = (/** @type {"calls"|"input_tokens"|"output_tokens"} */ field) => number(rows.reduce((total, row) => total + row[field], 0));
  return html`<div class="table-frame" tabindex="0" role="group" aria-label=${t("settings.usage")}><table class="table usage-table">
    <thead><tr><th scope="col">${t("settings.day")}</th><th scope="col">${t("models.name")}</th><th scope="col" class="num">${t("settings.calls")}</th>
      <th scope="col" class="num">${t("settings.tokensIn")}</th><th scope="col" class="num">${t("settings.tokensOut")}</th></tr></thead>
    <tbody>${rows.map((row, index) => html`<tr key=${row.day + row.model} class=${row.day === rows[index - 1]?.day ? "same-day" : ""}>
      <th scope="row">${dayName(row.day)}</th><td dir="ltr">${row.model}</td><td class="num">${number(row.calls)}</td>
      <td class="num">${number(row.input_tokens)}</td><td class="num">${number(row.output_tokens)}</td></tr>`)}</tbody>
    <tfoot><tr><th scope="row" colspan="2">${t("settings.total")}</th><td class="num">${sum("calls")}</td><td class="num">${sum("input_tokens")}</td><td class="num">${sum("output_tokens")}</td></tr></tfoot>
  </table></div>`;
}

/** @param {string} day  such as 2026-11-22, of no time zone */
const dayName = (day) => new Intl.DateTimeFormat(locale(), { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${day}T00:00:00Z`));
