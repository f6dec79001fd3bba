// A call's arguments in a readable form, and as fields to change them.
import { html } from "htm/preact";
import { useId } from "preact/hooks";
import { t } from "../strings.js";

/** @param {any} value */
const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

/** @param {{values: Record<string, any>}} props */
export function Arguments({ values }) {
  const names = Object.keys(values);
  if (!names.length) return html`<p class="small muted">${t("approval.noArguments")}</p>`;
  return html`<dl class="arguments">${names.map((name) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${shown(values[name])}</dd></div>`)}</dl>`;
}

/** What the fields hold at first. @param {Record<string, any>} values @returns {Record<string, string|boolean>} */
export const draftOf = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, typeof value === "boolean" ? value : shown(value)]));

/**
 * What the fields mean, each of the kind it was; null with `wrong`, the first that is none.
 * @param {Record<string, any>} values @param {Record<string, string|boolean>} draft
 * @returns {{made: Record<string, any>|null, wrong: string|null}}
 */
export function readDraft(values, draft) {
  /** @type {Record<string, any>} */
  const made = {};
  for (const [name, value] of Object.entries(values)) {
    const text = draft[name];
    if (typeof value === "string" || typeof value === "boolean") made[name] = text;
    else {
      try {
        made[name] = JSON.parse(String(text));
      } catch {
        return { made: null, wrong: name };
      }
      if (typeof value === "number" && typeof made[name] !== "number") return { made: null, wrong: name };
    }
  }
  return { made, wrong: null };
}

/** @param {{values: Record<string, any>, draft: Record<string, string|boolean>, onChange: (draft: Record<string, string|boolean>) => void}} props */
export function ArgumentFields({ values, draft, onChange }) {
  const id = useId();
  /** @param {string} name @param {string|boolean} value */
  const put = (name, value) => onChange({ ...draft, [name]: value });
  return html`<div class="column">${Object.keys(values).map((name) => html`<div class="field" key=${name}>
    <label for=${`${id}-${name}`}>${name}</label><${Field} id=${`${id}-${name}`} was=${values[name]} now=${draft[name]} onPut=${(/** @type {any} */ value) => put(name, value)} />
  </div>`)}</div>`;
}

/** @param {{id: string, was: any, now: string|boolean, onPut: (value: string|boolean) => void}} props */
function Field({ id, was, now, onPut }) {
  const typed = (/** @type {any} */ event) => onPut(event.target.value);
  if (typeof was === "boolean") return html`<input id=${id} type="checkbox" class="check" checked=${now} onChange=${(/** @type {any} */ event) => onPut(event.target.checked)} />`;
  if (typeof was === "number") return html`<input id=${id} class="input" inputmode="decimal" value=${now} onInput=${typed} />`;
  const rows = Math.min(12, Math.max(1, String(now).split("\n").length));
  return html`<textarea id=${id} class=${typeof was === "string" ? "input" : "input mono"} rows=${rows} dir="auto" value=${now} onInput=${typed}></textarea>`;
}
