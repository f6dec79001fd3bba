// Workspaces: all of them with what answers there now; one of them to change and try; a new one.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { attempt, compact, findWorkspace, loadPersonas, personas, workspaces, workspacesLoaded } from "../state.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { ImportFile } from "../workspaces/import.js";
import { NewWorkspace, WorkspaceForm } from "../workspaces/form.js";

/** @typedef {import("../types.js").Workspace} Workspace */

const NEW = "~new";

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  useSheet("workspaces");
  useEffect(() => void attempt(loadPersonas), []);
  if (!workspacesLoaded.value) return html`<${Bar} title=${t("workspaces.title")} />`;
  if (!route.id) return html`<${All} />`;
  if (route.id === NEW) return html`<${NewWorkspace} key=${route.query.toString()} from=${route.query.get("from")} persona=${route.query.get("persona")} />`;
  const found = findWorkspace(route.id);
  return found ? html`<${WorkspaceForm} key=${`${found.name} ${found.source}`} workspace=${found} />` : html`<${Missing} />`;
}

function Missing() {
  return html`<${Bar} title=${t("workspaces.title")} /><div class="page"><div class="page-inner"><div class="notice">
    <${Icon} name="info" /><p class="grow">${t("workspaces.missing")}</p><a class="button" href="/workspaces">${t("workspaces.all")}</a></div></div></div>`;
}

function All() {
  const [importing, setImporting] = useState(false);
  const own = workspaces.value.filter((each) => each.mine && !each.replaces);
  /** @param {string} source */
  const from = (source) => workspaces.value.filter((each) => !each.mine && each.source === source);
  const builtIn = workspaces.value.filter((each) => each.source === "built-in" || (each.mine && each.replaces));
  return html`<${Bar} title=${t("workspaces.title")}>
      <button type="button" class=${compact.value ? "button icon-only" : "button"} aria-label=${t("workspaces.import")} aria-expanded=${importing ? "true" : "false"} onClick=${() => setImporting(!importing)}>
        <${Icon} name="download" />${!compact.value && t("workspaces.import")}</button>
      <a class=${compact.value ? "button primary icon-only" : "button primary"} href=${`/workspaces/${NEW}`} aria-label=${t("workspaces.new")}><${Icon} name="plus" />${!compact.value && t("workspaces.new")}</a>
    <//>
    <div class="page"><div class="page-inner is-wide">
      <p class="muted">${t("workspaces.about")}</p>
      ${importing && html`<${ImportFile} onClose=${() => setImporting(false)} />`}
      <${Group} id="own" title=${t("workspaces.own")} rows=${own}>${!own.length && html`<${Ideas} />`}<//>
      <${Group} id="settings" title=${t("workspaces.settings")} rows=${from("settings")} />
      <${Group} id="built-in" title=${t("workspaces.builtIn")} rows=${builtIn} />
      <${Group} id="shared" title=${t("workspaces.shared")} rows=${from("page")} />
    </div></div>`;
}

/** @param {{id: string, title: string, rows: Workspace[], children?: any}} props */
function Group({ id, title, rows, children }) {
  if (!rows.length && !children) return null;
  return html`<section class="column" aria-labelledby=${`workspaces-${id}`}><h2 id=${`workspaces-${id}`}>${title}</h2>
    ${children}
    ${rows.length > 0 && html`<ul class="lines">${rows.map((each) => html`<${Line} key=${each.name} one=${each} />`)}</ul>`}</section>`;
}

/** @param {{one: Workspace}} props */
function Line({ one }) {
  const title = one.title || one.name;
  return html`<li class="line workspace-line">
    <a class="grow workspace-link" href=${`/workspaces/${encodeURIComponent(one.name)}`}>
      <span class="row wrap"><strong dir="auto">${title}</strong> <code class="small muted">${one.name}</code>
        ${one.replaces && html`<span class="tag">${t("workspaces.changed")}</span>`}</span>
      ${one.description && html`<span class="small" dir="auto">${one.description}</span>`}
      <span class="small muted">${one.now.model ? t("workspaces.now", { model: one.now.model }) : t("workspaces.nothing")}</span>
    </a>
    ${one.now.model && html`<a class="button" href=${`/?model=${encodeURIComponent(one.name)}`} aria-label=${t("workspaces.chatWith", { name: title })}>${t("workspaces.chat")}</a>`}
  </li>`;
}

/** Examples to click: a workspace from a persona. Folded on a phone, where they would push everything else down. */
function Ideas() {
  const list = html`<ul class="plain row wrap">${personas.value.map((each) => html`<li key=${each.name}>
      <a class="button" href=${`/workspaces/${NEW}?persona=${each.name}`} aria-label=${t("workspaces.fromPersona", { title: each.title })} title=${each.description}><${Icon} name="plus" />${each.title}</a></li>`)}</ul>`;
  return html`<p class="muted small">${t("workspaces.none")}</p>
    ${compact.value ? html`<details class="fold"><summary>${t("workspaces.personas", { n: personas.value.length })}<${Icon} name="chevron" /></summary>${list}</details>` : list}`;
}
