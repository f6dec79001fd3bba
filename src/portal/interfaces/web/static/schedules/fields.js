// The fields of a schedule, in groups.
import { html } from "htm/preact";
import * as api from "../api.js";
import { scheduleTargets } from "../api/schedules.js";
import { ModelOptions } from "../models/options.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";
import { Preview } from "./preview.js";

/** @typedef {import("../types.js").ScheduleFields} Fields @typedef {{fields: Fields, change: (changes: Partial<Fields>) => void}} Props */

const EXAMPLES = ["every weekday at 8:00", "every 30 minutes", "0 9 1 * *"];
const CATCH_UP = /** @type {const} */ (["skip", "once", "all"]);
const SIGNATURES = /** @type {const} */ (["", "github", "stripe", "standard"]);
const ZONES = Intl.supportedValuesOf("timeZone");

/** @param {any} event */
const typed = (event) => event.target.value;

/** What is asked, and where. @param {Props} props */
export function Task({ fields, change }) {
  return html`<div class="form">
    <div class="field"><label for="schedule-prompt">${t("schedules.prompt")}</label>
      <textarea id="schedule-prompt" class="input" dir="auto" rows="4" required maxlength="100000" placeholder=${t("schedules.idea.news")} value=${fields.prompt} aria-describedby="schedule-prompt-hint"
        onInput=${(/** @type {any} */ event) => change({ prompt: typed(event) })}></textarea><p id="schedule-prompt-hint" class="small muted">${t("schedules.promptHint")}</p></div>
    <div class="form-pair">
      <div class="field"><label for="schedule-name">${t("schedules.name")}</label>
        <input id="schedule-name" class="input" dir="auto" maxlength="100" autocomplete="off" placeholder=${fields.prompt.slice(0, 60)} value=${fields.name} onInput=${(/** @type {any} */ event) => change({ name: typed(event) })} /></div>
      <div class="field"><label for="schedule-workspace">${t("schedules.workspace")}</label>
        <select id="schedule-workspace" class="input" onChange=${(/** @type {any} */ event) => change({ workspace: typed(event) })}><${ModelOptions} value=${fields.workspace} /></select></div>
    </div></div>`;
}

/** @param {Props & {fixed: boolean}} props  what is a webhook stays one, and what is none as well */
export function When({ fields, change, fixed }) {
  const hook = fields.when === "webhook";
  return html`<fieldset class="form"><legend class="label">${t("schedules.whenLabel")}</legend>
    ${!fixed && html`<div class="choices-row schedule-kinds">
      <label class="radio"><input type="radio" name="schedule-kind" checked=${!hook} onChange=${() => change({ when: EXAMPLES[0] })} /><span>${t("schedules.atTimes")}</span></label>
      <label class="radio"><input type="radio" name="schedule-kind" checked=${hook} onChange=${() => change({ when: "webhook" })} /><span>${t("schedules.webhook")}</span></label></div>`}
    ${hook ? html`<${Hook} fields=${fields} change=${change} />` : html`<${Times} fields=${fields} change=${change} />`}</fieldset>`;
}

/** @param {Props} props */
function Times({ fields, change }) {
  return html`<div class="form-pair">
      <div class="field"><label for="schedule-when">${t("schedules.when")}</label>
        <input id="schedule-when" class="input" dir="ltr" required maxlength="200" autocomplete="off" spellcheck="false" value=${fields.when} aria-describedby="schedule-preview"
          onInput=${(/** @type {any} */ event) => change({ when: typed(event) })} />
        <p class="row wrap small">${EXAMPLES.map((each) => html`<button key=${each} type="button" class="ghost small" onClick=${() => change({ when: each })}><code dir="ltr">${each}</code></button>`)}</p></div>
      <div class="field"><label for="schedule-zone">${t("schedules.zone")}</label>
        <input id="schedule-zone" class="input" dir="ltr" list="schedule-zones" maxlength="100" autocomplete="off" spellcheck="false" value=${fields.zone} onInput=${(/** @type {any} */ event) => change({ zone: typed(event) })} />
        <datalist id="schedule-zones">${ZONES.map((each) => html`<option key=${each} value=${each}></option>`)}</datalist></div>
    </div>
    <${Preview} id="schedule-preview" when=${fields.when} zone=${fields.zone} />`;
}

/** @param {Props} props */
function Hook({ fields, change }) {
  return html`<p class="small muted">${t("schedules.hookHint")}</p><div class="form-pair">
    <div class="field"><label for="schedule-signature">${t("schedules.signature")}</label>
      <select id="schedule-signature" class="input" onChange=${(/** @type {any} */ event) => change({ signature: typed(event) })}>
        ${SIGNATURES.map((each) => html`<option key=${each} value=${each} selected=${each === fields.signature}>${t(`schedules.signature.${each || "none"}`)}</option>`)}</select></div>
    ${fields.signature && html`<div class="field"><label for="schedule-secret">${t("schedules.secret")}</label>
      <input id="schedule-secret" class="input" type="password" maxlength="1000" autocomplete="off" value=${fields.secret} onInput=${(/** @type {any} */ event) => change({ secret: typed(event) })} /></div>`}</div>`;
}

/** Where the answer goes. @param {Props} props */
export function Targets({ fields, change }) {
  const { data } = useLoad(scheduleTargets);
  const gone = fields.targets.filter((each) => data && !data.data.some(({ name }) => name === each));
  const all = [...(data?.data ?? []), ...gone.map((name) => ({ name, title: t("schedules.targetGone") }))];
  return html`<fieldset class="choices-row"><legend class="label">${t("schedules.targets")}</legend>
    ${all.map(({ name, title }) => html`<label key=${name} class="radio"><input type="checkbox" checked=${fields.targets.includes(name)} onChange=${() => change({ targets: toggled(fields.targets, name) })} />
      <span dir="auto">${name === "page" ? t("schedules.page") : name} ${title && html`<span class="small muted">${title}</span>`}</span></label>`)}</fieldset>`;
}

/** Which tools run without asking. @param {Props} props */
export function Permits({ fields, change }) {
  const { data } = useLoad(api.tools);
  const tools = (data?.toolsets ?? []).flatMap((each) => each.tools).filter(({ name, risk }) => risk !== "read" || fields.tools.includes(name));
  return html`<details class="fold"><summary>${t("schedules.permits", { n: fields.tools.length })}</summary>
    <fieldset class="choices-row schedule-permits"><legend class="small muted">${t("schedules.permitsHint")}</legend>
      ${tools.map(({ name, title, risk }) => html`<label key=${name} class="radio"><input type="checkbox" checked=${fields.tools.includes(name)} onChange=${() => change({ tools: toggled(fields.tools, name) })} />
        <span>${title || name} <span class="small muted">${risk}</span></span></label>`)}</fieldset></details>`;
}

/** @param {Props} props */
export function Details({ fields, change }) {
  return html`<details class="fold"><summary>${t("schedules.details")}</summary><div class="form">
    <label class="radio"><input type="checkbox" checked=${fields.continued} onChange=${() => change({ continued: !fields.continued })} /><span>${t("schedules.continued")}</span></label>
    <div class="field"><label for="schedule-catch-up">${t("schedules.catchUp")}</label>
      <select id="schedule-catch-up" class="input" onChange=${(/** @type {any} */ event) => change({ catch_up: typed(event) })}>
        ${CATCH_UP.map((each) => html`<option key=${each} value=${each} selected=${each === fields.catch_up}>${t(`schedules.catchUp.${each}`)}</option>`)}</select></div>
    <div class="form-pair">
      <div class="field"><label for="schedule-jitter">${t("schedules.jitter")}</label>
        <input id="schedule-jitter" class="input" type="number" min="0" max="86400" step="1" value=${fields.jitter} onInput=${(/** @type {any} */ event) => change({ jitter: Number(typed(event)) })} /></div>
      <div class="field"><label for="schedule-parallel">${t("schedules.parallel")}</label>
        <input id="schedule-parallel" class="input" type="number" min="1" max="100" step="1" value=${fields.parallel} onInput=${(/** @type {any} */ event) => change({ parallel: Number(typed(event)) })} /></div>
    </div></div></details>`;
}

/** @param {string[]} all @param {string} one */
const toggled = (all, one) => (all.includes(one) ? all.filter((each) => each !== one) : [...all, one]);
