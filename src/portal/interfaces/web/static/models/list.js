// Every model with its size, context and abilities. A table where there is room, cards where there is not.
import { html } from "htm/preact";
import { chatModels, guideModel, models } from "../state.js";
import { bytes, context, count, duration } from "../format.js";
import { Icon } from "../icons.js";
import { has, t } from "../strings.js";

/** @typedef {import("../types.js").Model} Model */

const NONE = html`<span class="muted">–</span>`;

export function ModelList() {
  const chat = new Set(chatModels.value.map((model) => model.id));
  if (!models.value.length) return html`<p class="muted">${t("models.none")}</p>`;
  return html`<div class="table-frame"><table class="table models-table">
    <thead><tr><th scope="col">${t("models.name")}</th><th scope="col">${t("models.size")}</th><th scope="col">${t("models.context")}</th>
      <th scope="col">${t("models.speed")}</th><th scope="col">${t("models.abilities")}</th><th scope="col"><span class="sr-only">${t("models.useShort")}</span></th></tr></thead>
    ${grouped(chat).map(([name, listed]) => html`<tbody key=${name}>
      ${listed[0]?.id !== guideModel.value && html`<tr class="models-server"><th scope="rowgroup" colspan="6" dir="auto">${name}</th></tr>`}
      ${listed.map((model) => html`<${Line} key=${model.id} model=${model} chat=${chat.has(model.id)} />`)}</tbody>`)}
  </table></div>`;
}

/** The models of each server, those that chat first, and the guide at the end. @param {Set<string>} chat @returns {[string, Model[]][]} */
function grouped(chat) {
  const sorted = [...models.value].sort((a, b) => Number(chat.has(b.id)) - Number(chat.has(a.id)));
  /** @type {Map<string, Model[]>} */
  const servers = new Map();
  for (const model of sorted) servers.set(model.backend, [...(servers.get(model.backend) ?? []), model]);
  return [...servers].sort(([, a], [, b]) => Number(a[0]?.id === guideModel.value) - Number(b[0]?.id === guideModel.value));
}

/** @param {{model: Model, chat: boolean}} props */
function Line({ model, chat }) {
  const guide = model.id === guideModel.value;
  return html`<tr>
    <th scope="row"><span class="model-id" dir="ltr">${model.id}</span>
      <span class="small muted">${guide ? t("models.guide") : subtitle(model)}</span>
      ${model.loaded && !guide && html`<span class="small model-loaded"><${Icon} name="check" />${t("models.loaded")}</span>`}</th>
    <td data-label=${t("models.size")}>${model.size ? bytes(model.size) : NONE}</td>
    <td data-label=${t("models.context")}>${model.context_window ? t("models.tokens", { count: context(model.context_window) }) : NONE}</td>
    <td data-label=${t("models.speed")}><${Seen} seen=${model.speed_seen} /></td>
    <td data-label=${t("models.abilities")}><ul class="tags">${model.capabilities.map((each) => html`<li key=${each}>${capability(each)}</li>`)}</ul></td>
    <td class="table-act">${chat && html`<a class="button" aria-label=${t("models.use", { model: model.id })} href=${`/?model=${encodeURIComponent(model.id)}`}>${t("models.useShort")}</a>`}</td>
  </tr>`;
}

/** The speed seen in its answers. @param {{seen: Model["speed_seen"]}} props */
function Seen({ seen }) {
  if (!seen) return NONE;
  const first = seen.first_token_seconds;
  return html`<span class="stack"><span>${t("models.pace", { count: count(seen.tokens_per_second) })}</span>
    ${first !== null && html`<span class="small muted">${t("models.firstToken", { time: duration(first * 1000) })}</span>`}</span>`;
}

/** @param {Model} model */
function subtitle({ parameters, quantization }) {
  return [parameters ? t("models.parameters", { count: count(parameters) }) : "", quantization ?? ""].filter(Boolean).join(" · ");
}

/** @param {string} name */
const capability = (name) => {
  const key = `models.cap.${name}`;
  return has(key) ? t(key) : name;
};
