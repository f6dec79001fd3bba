// The embedded engine: what it needs, its build with the log's end, and fetching models for it.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { engine, installEngine, pullModel, stopPull, watchEngine } from "../state.js";
import { bytes } from "../format.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";

/** @typedef {import("../state/engine.js").Pull} Pull */

const EXAMPLE = "Qwen/Qwen2.5-1.5B-Instruct-GGUF/qwen2.5-1.5b-instruct-q4_k_m.gguf";

/** @param {{id?: string}} props */
export function Engine({ id = "engine" }) {
  useEffect(watchEngine, []);
  const now = engine.value;
  if (!now) return html`<p class="muted">${t("common.loading")}</p>`;
  return html`<div class="column">
    <p class="small">${t("engine.what")}</p>
    ${now.installed ? html`<p class="found is-found"><${Icon} name="check" />${t("engine.installed")}</p>` : html`<${Build} />`}
    <${Files} id=${id} />
  </div>`;
}

function Build() {
  const { needs, building } = /** @type {NonNullable<typeof engine.value>} */ (engine.value);
  const problems = needs?.problems ?? [];
  const failed = building?.state === "failed";
  if (building?.state === "running") return html`<${Building} building=${building} />`;
  return html`<p class="small">${t("engine.needs", { minutes: needs?.minutes ?? 0, space: bytes((needs?.space_mb ?? 0) * 1e6) })}</p>
    ${problems.length > 0 && html`<div class="notice is-warn"><${Icon} name="warn" /><div class="grow"><p>${t("engine.problems")}</p>
      <ul class="plain">${problems.map((each) => html`<li key=${each} dir="auto">${each}</li>`)}</ul></div></div>`}
    ${failed && html`<p class="bad">${t("engine.failed")}</p><${Log} lines=${building.log_tail} />`}
    <div class="row"><button type="button" class="button" disabled=${problems.length > 0} onClick=${installEngine}>${failed ? t("engine.again") : t("engine.build")}</button></div>`;
}

/** @param {{building: {progress: number, log_tail: string[]}}} props */
function Building({ building }) {
  const known = building.progress > 0; // before the compiler runs there is nothing to count
  const words = known ? t("engine.building", { percent: Math.round(building.progress * 100) }) : t("engine.buildingUnknown");
  return html`<p role="status">${words}</p>
    <progress class="meter" max="1" value=${known ? building.progress : undefined} aria-label=${t("engine.buildingUnknown")}></progress>
    <${Log} lines=${building.log_tail} />`;
}

/** The end of the build's log, kept at its end. @param {{lines: string[]}} props */
function Log({ lines }) {
  const text = lines.join("\n");
  const element = useRef(/** @type {HTMLPreElement|null} */ (null));
  useLayoutEffect(() => element.current?.scrollTo(0, element.current.scrollHeight), [text]);
  return text ? html`<pre ref=${element} class="log" tabindex="0" dir="ltr" aria-label=${t("engine.log")}>${text}</pre>` : null;
}

/** Its models; they can be fetched before the engine is there. @param {{id: string}} props */
function Files({ id }) {
  const { models, pulls } = /** @type {NonNullable<typeof engine.value>} */ (engine.value);
  return html`<div><p class="small">${t("engine.modelsHere", { n: models.length })}</p>
      ${models.length > 0 && html`<ul class="plain">${models.map((model) => html`<li key=${model.name}><span class="mono small" dir="ltr">${model.name}</span> <span class="muted small">${bytes(model.size)}</span></li>`)}</ul>`}</div>
    ${pulls.map((pull) => html`<${PullLine} key=${pull.id} pull=${pull} />`)}
    <${PullForm} id=${id} />`;
}

/** @param {{id: string}} props */
function PullForm({ id }) {
  const [source, setSource] = useState("");
  const [sum, setSum] = useState("");
  /** @param {Event} event */
  const fetchIt = async (event) => {
    event.preventDefault();
    if (await pullModel(source, sum)) {
      setSource("");
      setSum("");
    }
  };
  return html`<form class="form" onSubmit=${fetchIt}>
    <div class="field"><label for=${`${id}-source`}>${t("engine.source")}</label>
      <input id=${`${id}-source`} class="input mono" dir="ltr" required spellcheck="false" autocomplete="off" value=${source} onInput=${(/** @type {any} */ event) => setSource(event.target.value)} />
      <p class="small muted">${t("engine.sourceHint")} <button type="button" class="link mono" onClick=${() => setSource(EXAMPLE)}>${EXAMPLE}</button></p></div>
    <div class="field"><label for=${`${id}-sum`}>${t("engine.sum")}</label>
      <input id=${`${id}-sum`} class="input mono" dir="ltr" pattern="[0-9a-fA-F]{64}" spellcheck="false" autocomplete="off" value=${sum} onInput=${(/** @type {any} */ event) => setSum(event.target.value)} /></div>
    <div class="row"><button class="button" disabled=${!source.trim()}><${Icon} name="download" />${t("engine.pullDo")}</button></div>
  </form>`;
}

/** @param {{pull: Pull}} props */
function PullLine({ pull }) {
  const name = pull.source.split("/").at(-1) ?? pull.source;
  const runs = pull.state === "running";
  const again = !runs && pull.state !== "done";
  return html`<div class="pull">
    <div class="row"><span class="mono small grow clip" dir="ltr" title=${pull.source}>${name}</span>
      ${again && html`<button type="button" class="button" onClick=${() => pullModel(pull.source, "")}>${t("engine.pullAgain")}</button>`}
      ${pull.state !== "interrupted" && html`<button type="button" class="ghost icon-only" onClick=${() => stopPull(pull.id)}
        aria-label=${runs ? t("engine.pullCancel", { name }) : t("engine.pullForget", { name })}><${Icon} name="close" /></button>`}</div>
    ${runs && html`<progress class="meter" max="1" value=${pull.total ? pull.done / pull.total : undefined} aria-label=${t("engine.progress", { name })}></progress>`}
    <p class=${pull.state === "failed" ? "small bad" : "small muted"} role="status" dir="auto">${pullWords(pull)}</p>
  </div>`;
}

/** @param {Pull} pull */
function pullWords({ state, done, total, error }) {
  if (state === "failed") return t("engine.pullFailed", { error: error ?? "" });
  if (state === "done") return t("engine.pullDone");
  if (state !== "running") return t("engine.pullStopped");
  return total ? t("engine.pulling", { done: bytes(done), total: bytes(total) }) : t("engine.pullingSome", { done: bytes(done) });
}
