// Models: what auto means, the servers, every model, adding a server, the embedded engine.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { attempt, autoModel, compact, loadModels, modelsLoaded, noModels, refreshModels } from "../state.js";
import { t } from "../strings.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { AddServer } from "../models/add.js";
import { Backends } from "../models/backends.js";
import { Engine } from "../models/engine.js";
import { ModelList } from "../models/list.js";

export function View() {
  useEffect(() => void attempt(loadModels), []); // the speeds seen change without an event
  return html`<${Bar} title=${t("models.title")}><${Refresh} /><//>
    <div class="page"><div class="page-inner is-wide">
      <${Auto} />
      <section class="column" aria-labelledby="models-all"><h2 id="models-all">${t("models.all")}</h2><${ModelList} /></section>
      <section class="column" aria-labelledby="models-servers">
        <div><h2 id="models-servers">${t("models.servers")}</h2><p class="muted small">${t("models.serversHint")}</p></div>
        <${Backends} />
      </section>
      <section class="column" id="add" aria-labelledby="models-add">
        <div><h2 id="models-add">${t("models.add")}</h2><p class="muted small">${t("models.addHint")}</p></div>
        <${AddServer} />
      </section>
      <section class="column" id="engine" aria-labelledby="models-engine"><h2 id="models-engine">${t("engine.title")}</h2><${Engine} /></section>
    </div></div>`;
}

function Refresh() {
  const [busy, setBusy] = useState(false);
  const look = async () => {
    setBusy(true);
    await attempt(refreshModels);
    setBusy(false);
  };
  const words = busy ? t("models.refreshing") : t("models.refresh");
  return html`<button type="button" class=${compact.value ? "button icon-only" : "button"} aria-label=${words} disabled=${busy} onClick=${look}>
    <${Icon} name="again" />${!compact.value && html`<span>${words}</span>`}</button>`;
}

function Auto() {
  const auto = autoModel.value;
  if (!modelsLoaded.value) return null;
  if (!auto) return html`<div class="notice"><${Icon} name="info" /><p class="grow">${t("models.autoNone")}</p>
    ${noModels.value && html`<a class="button" href="/welcome">${t("firstrun.title")}</a>`}</div>`;
  return html`<section class="notice" aria-label=${t("models.auto")}><${Icon} name="route" />
    <div class="grow"><p><strong>${t("models.autoIs", { model: auto.model })}</strong></p>
      <p class="small muted">${t("models.autoWhy", { reason: auto.reason })} <a href="/manual/models#what-auto-means">${t("models.autoMore")}</a></p></div></section>`;
}
