// Theme, language, text size, and the workspace or model a new chat starts with.
import { html } from "htm/preact";
import { ModelOptions } from "../models/options.js";
import { attempt, prefer, preferences, theme } from "../state.js";
import { LANGUAGES, t } from "../strings.js";

export function Appearance() {
  const { language, text_size: size, default_model: model } = preferences.value; // null: as the browser, by itself
  /** @param {Record<string, any>} changes */
  const set = (changes) => attempt(() => prefer(changes));
  return html`<${Choice} name="theme" legend=${t("settings.theme")} value=${theme.value} onChange=${(/** @type {string} */ each) => set({ theme: each })}
      options=${[["system", t("settings.theme.system")], ["light", t("settings.theme.light")], ["dark", t("settings.theme.dark")]]} />
    <${Choice} name="language" legend=${t("settings.language")} value=${language ?? ""} onChange=${(/** @type {string} */ each) => set({ language: each || null })}
      options=${[["", t("settings.languageAuto")], ...Object.entries(LANGUAGES)]} />
    <${Choice} name="size" legend=${t("settings.textSize")} value=${size ?? "m"} onChange=${(/** @type {string} */ each) => set({ text_size: each })}
      options=${[["s", t("settings.size.s")], ["m", t("settings.size.m")], ["l", t("settings.size.l")], ["xl", t("settings.size.xl")]]} />
    <div class="field"><label for="default-model">${t("settings.model")}</label>
      <select id="default-model" class="input" value=${model ?? ""} onChange=${(/** @type {any} */ event) => set({ default_model: event.target.value || null })}>
        <option value="">${t("settings.modelAuto")}</option>
        <${ModelOptions} value=${model} />
      </select></div>`;
}

/** @param {{name: string, legend: string, value: string, options: [string, string][], onChange: (value: string) => void}} props */
function Choice({ name, legend, value, options, onChange }) {
  return html`<fieldset class="segments"><legend class="label">${legend}</legend>
    <div>${options.map(([each, label]) => html`<label key=${each} class="segment">
      <input type="radio" name=${name} value=${each} checked=${each === value} onChange=${() => onChange(each)} /><span>${label}</span></label>`)}</div>
  </fieldset>`;
}
