// Three ways to get a model, each with a live check; the guide answers meanwhile.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { effect, untracked } from "@preact/signals";
import { ask, attempt, backends, chatModels, guideModel, lookForServers, refreshModels, toast } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { CopyLine } from "../settings/copy.js";
import { AddServer } from "../models/add.js";
import { Backend } from "../models/backends.js";
import { Engine } from "../models/engine.js";

/** In the empty conversation. */
export function FirstSteps() {
  useEffect(tellWhenFound, []);
  const away = backends.value.filter(({ status }) => status === "down");
  return html`<section class="firstrun column" aria-labelledby="firstrun-title">
    ${away.length ? html`<${Away} servers=${away} />` : html`<div><h2 id="firstrun-title">${t("firstrun.title")}</h2><p class="muted">${t("firstrun.text")}</p></div>`}
    <${Ways} first=${away.length ? "" : "ollama"} />
    <p class="muted">${t("firstrun.guide")}</p>
    <p><button type="button" class="button" onClick=${() => ask(t("firstrun.guideAsk"), [])}><${Icon} name="book" />${t("firstrun.guideAsk")}</button></p>
  </section>`;
}

/** Servers that are known and do not answer: the way to a model is to start them again. @param {{servers: import("../types.js").BackendView[]}} props */
function Away({ servers }) {
  const [busy, setBusy] = useState(false);
  const again = async () => {
    setBusy(true);
    await attempt(refreshModels);
    setBusy(false);
  };
  return html`<div><h2 id="firstrun-title" dir="auto">${t("firstrun.away", { n: servers.length, name: servers[0].name })}</h2>
      <p class="muted">${t("firstrun.awayText")}</p></div>
    <ul class="cards">${servers.map((backend) => html`<${Backend} key=${backend.name} backend=${backend} />`)}</ul>
    <p><button type="button" class="button" disabled=${busy} onClick=${again}><${Icon} name="again" />${t("firstrun.awayAgain")}</button></p>
    <h3>${t("firstrun.other")}</h3>`;
}

/** The steps leave with the first model; say why they did. */
function tellWhenFound() {
  let told = false; // lists may come one upon the other
  return effect(() => {
    const own = chatModels.value.filter((model) => model.id !== guideModel.value).length;
    if (own && !told) untracked(() => toast(t("firstrun.found", { n: own })));
    told = own > 0;
  });
}

/** The three ways, one open at a time. @param {{first?: string}} props */
export function Ways({ first = "ollama" }) {
  useEffect(lookForServers, []);
  const [open, setOpen] = useState(first);
  const own = chatModels.value.filter((model) => model.id !== guideModel.value);
  /** @type {[string, string, string, any][]} */
  const ways = [
    ["ollama", "download", t("firstrun.ollama"), Ollama],
    ["server", "external", t("firstrun.server"), Server],
    ["engine", "model", t("firstrun.engine"), () => html`<${Engine} id="firstrun-engine" />`],
  ];
  return html`<div class="column">
    <div role="status">${own.length > 0 && html`<p class="notice found is-found"><${Icon} name="check" /><span class="grow">${t("firstrun.found", { n: own.length })}</span>
      <a class="button" href="/">${t("firstrun.start")}</a></p>`}</div>
    <ul class="ways">${ways.map(([id, icon, title, body]) => html`<li key=${id} class="card">
      <h3><button type="button" class="way" aria-expanded=${open === id ? "true" : "false"} aria-controls=${`way-${id}`} onClick=${() => setOpen(open === id ? "" : id)}>
        <${Icon} name=${icon} /><span class="grow">${title}</span><${Icon} name="chevron" /></button></h3>
      <div id=${`way-${id}`} class="way-body column" hidden=${open !== id}>${open === id && html`<${body} />`}</div>
    </li>`)}</ul>
  </div>`;
}

function Ollama() {
  return html`<p>${t("firstrun.ollamaText")} <a href="https://ollama.com/download" target="_blank" rel="noreferrer">ollama.com/download</a>. ${t("firstrun.ollamaThen")}</p>
    <${CopyLine} text="ollama pull qwen3:8b" />
    <${Check} kind="ollama" looking=${t("firstrun.looking")} />`;
}

function Server() {
  return html`<p>${t("firstrun.serverText")}</p>
    <${Check} kind="openai_compatible" looking=${t("firstrun.lookingServers")} />
    <${AddServer} id="firstrun-add" />`;
}

/** The live check on one kind of server. @param {{kind: string, looking: string}} props */
function Check({ kind, looking }) {
  const there = backends.value.filter((backend) => backend.kind === kind && backend.status === "up");
  const models = there.reduce((sum, backend) => sum + backend.models, 0);
  if (models) return html`<p class="found is-found" role="status"><${Icon} name="check" />${t("models.foundIt", { n: models })}</p>`;
  if (there.length) return html`<p class="found is-found" role="status"><${Icon} name="check" />${kind === "ollama" ? t("firstrun.running") : t("models.foundIt", { n: 0 })}</p>`;
  return html`<p class="found" role="status"><span class="looking" aria-hidden="true"></span>${looking}</p>`;
}
