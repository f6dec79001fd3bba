// The model servers: how each is doing, and what to do when it is not.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { moment } from "../format.js";
import { attempt, backends, loadModels, toast } from "../state.js";
import { has, t } from "../strings.js";
import { Icon } from "../icons.js";
import { Confirm } from "../dialogs.js";

/** @typedef {import("../types.js").BackendView} BackendView */

export function Backends() {
  const servers = backends.value.filter((backend) => visible(backend) && !silent(backend));
  const places = backends.value.filter(silent).map(({ name, url }) => `${name} (${url})`).join(", ");
  return html`<ul class="cards">${servers.map((backend) => html`<${Backend} key=${backend.name} backend=${backend} />`)}</ul>
    ${places && html`<p class="small muted" dir="auto">${t("models.alsoLookedAt", { places })}</p>`}`;
}

/** A usual place where nothing answers is no server. @param {BackendView} backend */
const silent = ({ source, status, models: count }) => source === "found" && status === "waiting" && !count;
/** A server that answers, but not with this key. @param {BackendView} backend */
const refuses = ({ status, error }) => status !== "up" && /\banswered 40[13]\b/.test(error ?? "");

/** What is part of Portal is only worth a line once it has models. @param {BackendView} backend */
const visible = (backend) => !["guide", "embedder"].includes(backend.kind) && (backend.kind !== "embedded" || backend.models > 0);

/** @param {{backend: BackendView}} props */
export function Backend({ backend }) {
  const { name, kind, url, status, source, models: count, resting } = backend;
  const help = advice(backend);
  return html`<li class="card">
    <div class="card-head">
      <${Status} backend=${backend} />
      <h3 class="grow clip" dir="auto">${name}</h3>
      <span class="muted small">${t("models.count", { n: count })}</span>
      ${source === "page" && html`<${Remove} name=${name} />`}
    </div>
    <p class="small muted"><span class="mono" dir="ltr">${url || t("models.inside")}</span> · ${has(`models.source.${source}`) ? t(/** @type {any} */ (`models.source.${source}`)) : kind}</p>
    ${resting.map(({ model, until, failures }) => html`<p key=${model} class="small" dir="auto">${t("models.resting", { model, time: moment(until), n: failures })}</p>`)}
    ${status === "down" && backend.error && html`<p class="small" dir="auto">${backend.error}</p>`}
    ${help && html`<p class="small">${help}</p>`}
  </li>`;
}

/** @param {BackendView} backend */
function advice(backend) {
  const { kind, status, models: count } = backend;
  if (refuses(backend)) return "";
  const help = `models.help.${kind}`;
  if (status === "down") return has(help) ? t(help) : "";
  if (status === "up" && !count) return kind === "ollama" ? t("models.help.pull") : t("models.help.load");
  return "";
}

/** The state in words, with a mark that does not rely on colour. @param {{backend: BackendView}} props */
export function Status({ backend }) {
  const { status } = backend;
  const icons = { up: "check", down: "warn", waiting: "again" };
  return html`<span class=${`status is-${status}`}><${Icon} name=${icons[status] ?? "info"} />${refuses(backend) ? t("models.refused") : t(`models.${status}`)}</span>`;
}

/** @param {{name: string}} props */
function Remove({ name }) {
  const [asking, setAsking] = useState(false);
  const remove = () => attempt(async () => {
    await api.removeBackend(name);
    await loadModels();
    toast(t("models.removed", { name }));
  });
  return html`<button type="button" class="ghost icon-only" aria-label=${t("models.remove", { name })} title=${t("models.remove", { name })}
      onClick=${() => setAsking(true)}><${Icon} name="trash" /></button>
    ${asking && html`<${Confirm} title=${t("models.remove", { name })} text=${t("models.removeText")} action=${t("models.removeShort")} danger=${true}
      onYes=${remove} onClose=${() => setAsking(false)} />`}`;
}
