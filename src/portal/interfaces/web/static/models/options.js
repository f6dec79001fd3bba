// The options of a list to choose from: workspaces, then plain models. What is chosen and not there now stays.
import { html } from "htm/preact";
import { chatModels, openWorkspaces } from "../state.js";
import { t } from "../strings.js";

/** @param {{value: string|null|undefined}} props  what is chosen */
export function ModelOptions({ value }) {
  const workspaces = openWorkspaces.value.map(({ name }) => name);
  const models = chatModels.value.map(({ id }) => id);
  const missing = value && !workspaces.includes(value) && !models.includes(value);
  /** @param {string[]} names */
  const options = (names) => names.map((name) => html`<option key=${name} value=${name} selected=${name === value}>${name}</option>`);
  return html`
    ${missing && html`<option value=${value} selected>${value}</option>`}
    ${workspaces.length > 0 && html`<optgroup label=${t("workspaces.title")}>${options(workspaces)}</optgroup>`}
    <optgroup label=${t("models.title")}>${options(models)}</optgroup>`;
}
