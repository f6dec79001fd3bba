// Tool servers: how each is, looking at it now, signing in there, forgetting it. For the owner of this installation.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { attempt, me, toast, toolNews, toolsChanged } from "../state.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";
import { AddToolServer } from "./add.js";
import { Shipped } from "./shipped.js";

/** @typedef {import("../types.js").ToolServer} ToolServer */

export function ToolServers() {
  return me.value?.user?.role === "owner" && html`<${Servers} />`;
}

function Servers() {
  const { data, failed, reload } = useLoad(api.toolServers, [toolNews.value]);
  return html`<section class="column" aria-labelledby="tool-servers">
    <div><h2 id="tool-servers">${t("toolservers.title")}</h2>
      <p class="muted small">${t("toolservers.about")} <a href="/manual/mcp">${t("approvals.more")}</a></p></div>
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${data && data.data.length > 0 && html`<ul class="cards">${data.data.map((each) => html`<${Server} key=${each.name} server=${each} reload=${reload} />`)}</ul>`}
    <${Shipped} onAdded=${reload} />
    <details class="card"><summary>${t("toolservers.add")}</summary><${AddToolServer} onAdded=${reload} /></details>
    <p class="small muted">${t("toolservers.programs")} <code dir="ltr">portal mcp add</code></p>
  </section>`;
}

/** @param {{server: ToolServer, reload: () => Promise<void>}} props */
function Server({ server, reload }) {
  const { name, title, where, detail, source, status, auth, trusted, tools } = server;
  const [busy, setBusy] = useState(false);
  const test = async () => {
    setBusy(true);
    await attempt(() => api.testToolServer(name));
    toolsChanged();
    await reload();
    setBusy(false);
  };
  return html`<li class="card" aria-label=${name}>
    <div class="card-head"><${Status} status=${status} /><h3 class="grow clip" dir="auto">${title || name}</h3>
      ${(tools.length > 0 || status === "up") && html`<span class="muted small">${t("toolservers.count", { n: tools.length })}</span>`}
      ${source === "added" && html`<${Remove} name=${name} reload=${reload} />`}</div>
    <p class="small muted">${where && html`<span class="mono" dir="ltr">${where}</span> · `}${t(`toolservers.source.${source}`)}${trusted ? ` · ${t("toolservers.trusted")}` : ""}</p>
    ${detail && html`<p class="small" dir="auto">${detail}</p>`}
    ${(status === "wrong" || status === "off") && html`<p class="small">${t(`toolservers.mend.${status === "off" && source !== "file" ? "settings" : status}`)}</p>`}
    ${status !== "wrong" && status !== "off" && html`<div class="row wrap">
      <button type="button" class="button" disabled=${busy} aria-label=${t("toolservers.testOne", { name })} onClick=${test}>${t(busy ? "toolservers.testing" : "toolservers.test")}</button>
      ${auth === "oauth" && html`<${SignIn} name=${name} />`}</div>`}
  </li>`;
}

/** @param {{status: ToolServer["status"]}} props */
function Status({ status }) {
  const mark = status === "up" ? "check" : status === "down" || status === "wrong" ? "warn" : "info";
  const look = { up: "up", down: "down", wrong: "down" }[/** @type {string} */ (status)] ?? "waiting";
  return html`<span class=${`status is-${look}`}><${Icon} name=${mark} />${t(`toolservers.${status}`)}</span>`;
}

/** The address is asked for first, then shown as a link, to be opened by the person. @param {{name: string}} props */
function SignIn({ name }) {
  const [url, setUrl] = useState("");
  const begin = () => attempt(async () => {
    const { url: found } = await api.signInAtToolServer(name);
    if (!found) toast(t("toolservers.signedIn", { name }));
    else if (/^https?:/.test(found)) setUrl(found);
  });
  if (url) return html`<a class="button primary" href=${url}>${t("toolservers.signInAt", { host: new URL(url).host })}</a>`;
  return html`<button type="button" class="button" onClick=${begin}>${t("toolservers.signIn")}</button>`;
}

/** @param {{name: string, reload: () => Promise<void>}} props */
function Remove({ name, reload }) {
  const [asking, setAsking] = useState(false);
  const remove = () => attempt(async () => {
    await api.removeToolServer(name);
    toolsChanged();
    await reload();
    toast(t("models.removed", { name }));
  });
  return html`<button type="button" class="ghost icon-only" aria-label=${t("models.remove", { name })} title=${t("models.remove", { name })} onClick=${() => setAsking(true)}><${Icon} name="trash" /></button>
    ${asking && html`<${Confirm} title=${t("models.remove", { name })} text=${t("toolservers.removeText")} action=${t("models.removeShort")} danger=${true}
      onYes=${remove} onClose=${() => setAsking(false)} />`}`;
}
