// The tool servers that come with Portal: what each does, and adding it with one click.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/library.js";
import { attempt, toast, toolNews, toolsChanged } from "../state.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";

/** @param {{onAdded: () => Promise<void>}} props */
export function Shipped({ onAdded }) {
  const { data, failed, reload } = useLoad(api.shippedServers, [toolNews.value]);
  const [busy, setBusy] = useState("");
  /** @param {string} name */
  const add = async (name) => {
    setBusy(name);
    await attempt(async () => {
      await api.addShipped(name);
      toast(t("toolservers.added", { name }));
    });
    toolsChanged();
    await onAdded();
    await reload();
    setBusy("");
  };
  return html`<details class="card"><summary>${t("toolservers.shipped")}</summary><div class="column">
    <p class="small muted">${t("toolservers.shippedAbout")} <a href="/manual/mcp-servers">${t("approvals.more")}</a></p>
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    <ul class="cards">${(data?.data ?? []).map(({ name, title, about, added }) => html`<li key=${name} class="card" aria-label=${name}>
      <div class="card-head"><h3 class="grow clip" dir="auto">${title}</h3>
        ${added !== null
          ? html`<span class="small muted">${t("toolservers.shippedThere", { name: added })}</span>`
          : html`<button type="button" class="button" disabled=${busy !== ""} aria-label=${t("toolservers.addOne", { name })} onClick=${() => add(name)}>${t(busy === name ? "models.adding" : "toolservers.addDo")}</button>`}</div>
      <p class="small muted" dir="auto">${about}</p>
    </li>`)}</ul></div>
  </details>`;
}
