// What a workspace may look into: the person's documents, all or some collections, and their memory.
import { html } from "htm/preact";
import * as library from "../api/knowledge.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";

/** @param {import("./fields.js").Props} props */
export function Recalls({ fields, change }) {
  const { knowledge, collections, memory } = fields;
  const { data } = useLoad(library.knowledge);
  const all = data?.collections ?? [];
  const known = (/** @type {import("../types.js").Collection} */ one) => collections.some((each) => each === one.id || each === one.name);
  /** @param {import("../types.js").Collection} one @param {boolean} on */
  const choose = (one, on) => change({ collections: on ? [...collections, one.id] : collections.filter((each) => each !== one.id && each !== one.name) });
  return html`<fieldset class="form"><legend class="label">${t("workspaces.recalls")}</legend>
    <label class="radio"><input type="checkbox" checked=${knowledge} onChange=${(/** @type {any} */ event) => change({ knowledge: event.target.checked })} /><span>${t("workspaces.knowledge")}</span></label>
    ${knowledge && all.length > 0 && html`<fieldset class="workspace-collections" aria-describedby="ws-collections-hint"><legend class="sr-only">${t("workspaces.collections")}</legend>
      ${all.map((one) => html`<label key=${one.id} class="radio"><input type="checkbox" checked=${known(one)} onChange=${(/** @type {any} */ event) => choose(one, event.target.checked)} /><span dir="auto">${one.name || t("knowledge.unnamed")}</span></label>`)}
      <p id="ws-collections-hint" class="small muted">${t("workspaces.collectionsHint")}</p></fieldset>`}
    <label class="radio"><input type="checkbox" checked=${memory} onChange=${(/** @type {any} */ event) => change({ memory: event.target.checked })} /><span>${t("workspaces.memory")}</span></label>
  </fieldset>`;
}
