// Tools: families and servers with what their tools may do, what is allowed without asking, and who did what.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { removeGrant, toolNews } from "../state.js";
import { moment } from "../format.js";
import { Bar } from "../layout.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { useSheet } from "../sheets.js";
import { has, t } from "../strings.js";
import { Risk, extentWords } from "../chat/approval.js";
import { ToolServers } from "../tools/servers.js";

/** @typedef {import("../types.js").Toolset} Toolset */
/** @typedef {import("../types.js").Grant} Grant */
/** @typedef {import("../types.js").AuditLine} AuditLine */

export function View() {
  useSheet("approvals");
  const { data, failed } = useLoad(api.tools, [toolNews.value]);
  return html`<${Bar} title=${t("tools.title")} />
    <div class="page"><div class="page-inner is-wide">
      <p class="muted">${t("tools.about")} <a href="/manual/approvals">${t("approvals.more")}</a></p>
      ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
      ${data && !data.toolsets.length && html`<p class="notice"><${Icon} name="info" /><span class="grow">${t("tools.none")}</span></p>`}
      ${data?.toolsets.map((each) => html`<${Family} key=${each.name} toolset=${each} />`)}
      <${ToolServers} />
      <p class="notice"><${Icon} name="bulb" /><span class="grow">${t("skills.about")}</span><a class="button" href="/skills">${t("skills.title")}</a></p>
      <${Grants} />
      <${Audit} />
    </div></div>`;
}

/** @param {{toolset: Toolset}} props */
function Family({ toolset }) {
  const { name, title, kind, status, detail, tools } = toolset;
  const down = status === "down";
  return html`<section class="column" aria-labelledby=${`toolset-${name}`}>
    <div><h2 id=${`toolset-${name}`} class="row wrap"><span dir="auto">${title || name}</span>
        ${kind !== "builtin" && html`<span class="tag">${kindWords(kind)}</span>`}${down && html`<span class="status is-down">${status}</span>`}</h2>
      ${detail && html`<p class="small muted" dir="auto">${detail}</p>`}</div>
    ${tools.length > 0 ? html`<ul class="lines">${tools.map((each) => html`<li class="line" key=${each.name}>
      <div class="grow past"><span class="row wrap"><code class="mono">${each.name}</code><${Risk} risk=${each.risk} /></span>
        <span class="small muted" dir="auto">${each.description}</span></div></li>`)}</ul>` : html`<p class="small muted">${t("tools.empty")}</p>`}
  </section>`;
}

/** @param {string} kind */
const kindWords = (kind) => {
  const key = `tools.kind.${kind}`;
  return has(key) ? t(key) : kind;
};

function Grants() {
  const { data, reload } = useLoad(api.grants, [toolNews.value]);
  const [leaving, setLeaving] = useState(/** @type {Grant|null} */ (null));
  const remove = async () => {
    if (leaving && (await removeGrant(leaving))) await reload();
  };
  return html`<section class="column" aria-labelledby="grants"><div><h2 id="grants">${t("grants.title")}</h2><p class="muted small">${t("grants.about")}</p></div>
    ${data && !data.data.length && html`<p class="muted small">${t("grants.none")}</p>`}
    ${data && data.data.length > 0 && html`<ul class="lines">${data.data.map((grant) => html`<li class="line" key=${grant.id}>
      <div class="grow past"><code class="mono">${grant.tool}</code><span class="small muted" dir="auto">${extentWords(grant.extent, grant.value)} · ${moment(grant.created_at)}</span></div>
      <button type="button" class="button" aria-label=${t("grants.removeOne", { tool: grant.tool })} onClick=${() => setLeaving(grant)}>${t("grants.remove")}</button></li>`)}</ul>`}
    ${leaving && html`<${Confirm} title=${t("grants.removeOne", { tool: leaving.tool })} text=${t("grants.removeText")} action=${t("grants.remove")} onYes=${remove} onClose=${() => setLeaving(null)} />`}
  </section>`;
}

function Audit() {
  const [limit, setLimit] = useState(20);
  const { data } = useLoad(() => api.audit({ limit }), [limit, toolNews.value]);
  return html`<section class="column" aria-labelledby="audit"><div><h2 id="audit">${t("audit.title")}</h2><p class="muted small">${t("audit.about")}</p></div>
    ${data && !data.data.length && html`<p class="muted small">${t("audit.none")}</p>`}
    ${data && data.data.length > 0 && html`<div class="table-frame" tabindex="0" role="group" aria-label=${t("audit.title")}><table class="table audit-table">
      <thead><tr><th scope="col">${t("audit.when")}</th><th scope="col">${t("audit.what")}</th><th scope="col">${t("audit.details")}</th></tr></thead>
      <tbody>${data.data.map((line) => html`<tr key=${line.id}><td>${moment(line.at)}</td><td>${actionWords(line.action)}</td><td dir="auto">${details(line)}</td></tr>`)}</tbody></table></div>`}
    ${data?.next && limit < 200 && html`<div><button type="button" class="button" onClick=${() => setLimit(Math.min(200, limit * 3))}>${t("approvals.older")}</button></div>`}
  </section>`;
}

/** @param {string} action */
const actionWords = (action) => {
  const key = `audit.${action.replace(".", "_")}`;
  return has(key) ? t(key) : action;
};

const TOLD = ["tool", "approve", "extent", "outcome", "workspace", "door", "name", "way", "method"];

/** @param {AuditLine} line */
function details({ detail }) {
  const said = TOLD.filter((name) => name in detail).map((name) => (name === "approve" ? t(detail.approve ? "audit.yes" : "audit.no") : String(detail[name])));
  return said.join(" · ");
}
