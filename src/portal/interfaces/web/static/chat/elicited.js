// What a tool server asks in the middle of a call: a form to fill in, or an address to open.
import { html } from "htm/preact";
import { useId, useState } from "preact/hooks";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @typedef {Record<string, any>} Schema */
/** @typedef {Record<string, string|boolean|string[]>} Draft */

/** @param {{id: string, approval: import("../types.js").Approval, busy: boolean, say: (verdict: import("../types.js").Verdict) => void}} props */
export function Elicited({ id, approval, busy, say }) {
  const { message, form, url } = approval.arguments;
  const fields = /** @type {[string, Schema][]} */ (Object.entries(form?.properties ?? {}));
  const [draft, setDraft] = useState(() => Object.fromEntries(fields.map(([name, schema]) => [name, first(schema)])));
  const required = new Set(form?.required ?? []);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    say(url ? { approve: true } : { approve: true, content: filled(fields, draft) });
  };
  return html`<h2 id=${id} class="row approval-head"><${Icon} name="ask" /><span class="grow">${t("approval.serverAsks", { server: approval.toolset })}</span></h2>
    <p dir="auto" class="elicited-message">${message}</p>
    <form class="column" onSubmit=${submit}>
      ${url && html`<p class="small">${t("approval.address", { host: hostOf(url) })}</p><a class="elicited-url" href=${url} target="_blank" rel="noopener noreferrer">${url}</a>`}
      ${fields.map(([name, schema]) => html`<${Field} key=${name} name=${name} schema=${schema} required=${required.has(name)} value=${draft[name]}
        onPut=${(/** @type {any} */ value) => setDraft({ ...draft, [name]: value })} />`)}
      <div class="row wrap">
        <button class="button primary" disabled=${busy}>${url ? t("approval.opened") : t("approval.send")}</button>
        <button type="button" class="button" disabled=${busy} onClick=${() => say({ approve: false })}>${t("approval.deny")}</button>
      </div>
    </form>`;
}

/** @param {string} url */
const hostOf = (url) => new URL(url).host;

/** The values of a choice and their names; null where it is none. @param {Schema} schema @returns {[string, string][]|null} */
function choicesOf(schema) {
  const named = schema.oneOf ?? schema.anyOf;
  if (Array.isArray(named)) return named.map((each) => [String(each.const), String(each.title ?? each.const)]);
  if (Array.isArray(schema.enum)) return schema.enum.map((each, at) => [String(each), String(schema.enumNames?.[at] ?? each)]);
  return null;
}

/** What a field holds at first. @param {Schema} schema @returns {string|boolean|string[]} */
function first(schema) {
  if (schema.type === "boolean") return schema.default === true;
  if (schema.type === "array") return Array.isArray(schema.default) ? schema.default.map(String) : [];
  return schema.default === undefined ? "" : String(schema.default);
}

/** Values of the kinds that the form wants; what was left empty is left out. @param {[string, Schema][]} fields @param {Draft} draft */
function filled(fields, draft) {
  const given = fields.filter(([name]) => draft[name] !== "" && !(Array.isArray(draft[name]) && !draft[name].length));
  return Object.fromEntries(given.map(([name, { type }]) => [name, type === "number" || type === "integer" ? Number(draft[name]) : draft[name]]));
}

/** @param {{name: string, schema: Schema, required: boolean, value: any, onPut: (value: any) => void}} props */
function Field({ name, schema, required, value, onPut }) {
  const id = useId();
  const label = schema.title || name;
  const hint = schema.description && html`<span class="small muted" id=${`${id}-hint`} dir="auto">${schema.description}</span>`;
  const about = schema.description ? `${id}-hint` : undefined;
  const several = schema.type === "array" ? choicesOf(schema.items ?? {}) ?? [] : null;
  if (several) {
    const toggle = (/** @type {string} */ choice) => onPut(value.includes(choice) ? value.filter((/** @type {string} */ each) => each !== choice) : [...value, choice]);
    return html`<fieldset class="field elicited-several"><legend>${label}</legend>${hint}
      ${several.map(([choice, words]) => html`<label class="row" key=${choice}><input type="checkbox" class="check" checked=${value.includes(choice)} onChange=${() => toggle(choice)} />${words}</label>`)}</fieldset>`;
  }
  if (schema.type === "boolean") {
    return html`<div class="field"><label class="row"><input type="checkbox" class="check" aria-describedby=${about} checked=${value} onChange=${() => onPut(!value)} />${label}</label>${hint}</div>`;
  }
  return html`<div class="field"><label for=${id}>${label}</label>
    <${Plain} id=${id} about=${about} schema=${schema} required=${required} value=${value} onPut=${onPut} />${hint}</div>`;
}

/** @type {Record<string, string>} */
const KINDS = { email: "email", uri: "url", date: "date" };

/** @param {{id: string, about?: string, schema: Schema, required: boolean, value: string, onPut: (value: string) => void}} props */
function Plain({ id, about, schema, required, value, onPut }) {
  const put = (/** @type {any} */ event) => onPut(event.target.value);
  const choices = choicesOf(schema);
  if (choices) {
    return html`<select id=${id} class="input" aria-describedby=${about} required=${required} value=${value} onChange=${put}>
      <option value="">${t("approval.choose")}</option>${choices.map(([choice, words]) => html`<option key=${choice} value=${choice}>${words}</option>`)}</select>`;
  }
  const number = schema.type === "number" || schema.type === "integer";
  return html`<input id=${id} class="input" dir="auto" type=${number ? "number" : KINDS[schema.format] ?? "text"} step=${number ? (schema.type === "integer" ? "1" : "any") : undefined}
    min=${schema.minimum} max=${schema.maximum} minlength=${schema.minLength} maxlength=${schema.maxLength} aria-describedby=${about} required=${required} value=${value} onInput=${put} />`;
}
