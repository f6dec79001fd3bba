// What turns text into vectors here: which it is, how far a change is, and choosing another one.
import { html } from "htm/preact";
import { useId, useState } from "preact/hooks";
import * as library from "../api/knowledge.js";
import { attempt, me } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @param {{embedder: import("../types.js").Embedder, onChange: () => Promise<void>}} props */
export function EmbedderLine({ embedder, onChange }) {
  const { name, wanted, waiting, detail, choices, suggested, available } = embedder;
  const rules = me.value?.user?.role === "owner";
  const choose = (/** @type {string} */ model) => attempt(async () => {
    await library.chooseEmbedder(model);
    await onChange();
  });
  const words = available ? t("embedder.uses", { name }) : t("embedder.none");
  return html`<section class="embedder" aria-label=${t("embedder.title")}>
    <p class="small muted row"><${Icon} name=${available ? "check" : "info"} /><span dir="auto">${words} ${detail}</span></p>
    ${waiting > 0 && html`<div class="pull"><p class="small muted" role="status">${t(wanted === name ? "embedder.waiting" : "embedder.changing", { percent: share(embedder), name: wanted })}</p>
      <progress class="meter" max="100" value=${share(embedder)} aria-label=${t("embedder.progress", { percent: share(embedder) })}></progress></div>`}
    ${rules && suggested && html`<p class="notice small"><${Icon} name="bulb" /><span class="grow">${t("embedder.better", { name: suggested })}</span>
      <button type="button" class="button" onClick=${() => choose(suggested)}>${t("embedder.use", { name: suggested })}</button></p>`}
    ${rules && choices.length > 1 && html`<${Choice} choices=${choices} wanted=${wanted} onChoose=${choose} />`}
  </section>`;
}

/** @param {import("../types.js").Embedder} embedder */
const share = ({ embedded, waiting }) => Math.floor((100 * embedded) / Math.max(1, embedded + waiting));

/** @param {{choices: string[], wanted: string, onChoose: (model: string) => unknown}} props */
function Choice({ choices, wanted, onChoose }) {
  const id = useId();
  const [model, setModel] = useState(wanted);
  return html`<details class="small"><summary>${t("embedder.another")}</summary>
    <p class="muted">${t("embedder.cost")}</p>
    <div class="row wrap"><label class="sr-only" for=${id}>${t("embedder.model")}</label>
      <select id=${id} class="input" value=${model} onChange=${(/** @type {any} */ event) => setModel(event.target.value)}>${choices.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select>
      <button type="button" class="button" disabled=${model === wanted} onClick=${() => onChoose(model)}>${t("embedder.change")}</button></div></details>`;
}
