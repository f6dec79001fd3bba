// Which tools a workspace may use: all of them, none, or those that are named.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";

const ALL = "*";

/** @param {import("./fields.js").Props} props */
export function Allowed({ fields, change }) {
  const { tools } = fields;
  const [some, setSome] = useState(tools.length > 0 && !tools.includes(ALL));
  const chosen = tools.includes(ALL) ? "all" : some || tools.length ? "some" : "none";
  /** @param {"all"|"none"|"some"} which */
  const choose = (which) => {
    setSome(which === "some");
    change({ tools: which === "all" ? [ALL] : which === "none" ? [] : tools.filter((each) => each !== ALL) });
  };
  return html`<div class="form"><fieldset class="choices-row"><legend class="label">${t("workspaces.tools")}</legend>
      ${/** @type {("all"|"none"|"some")[]} */ (["all", "some", "none"]).map((each) => html`<label key=${each} class="radio">
        <input type="radio" name="ws-tools" checked=${chosen === each} onChange=${() => choose(each)} /><span>${t(`workspaces.tools.${each}`)}</span></label>`)}</fieldset>
    ${chosen === "some" && html`<${Named} tools=${tools} onChange=${(/** @type {string[]} */ named) => change({ tools: named })} />`}</div>`;
}

/** Families to tick, and whatever else is named. @param {{tools: string[], onChange: (tools: string[]) => void}} props */
function Named({ tools, onChange }) {
  const { data } = useLoad(api.tools);
  const families = data?.toolsets ?? [];
  const others = tools.filter((each) => !families.some((family) => family.name === each));
  const ticked = tools.filter((each) => !others.includes(each));
  return html`${families.length > 0 && html`<fieldset class="workspace-collections"><legend class="sr-only">${t("workspaces.toolFamilies")}</legend>
      ${families.map(({ name, title }) => html`<label key=${name} class="radio"><input type="checkbox" checked=${ticked.includes(name)}
        onChange=${(/** @type {any} */ event) => onChange(event.target.checked ? [...tools, name] : tools.filter((each) => each !== name))} /><span dir="auto">${title || name}</span></label>`)}</fieldset>`}
    <div class="field"><label for="ws-tools">${t("workspaces.toolNames")}</label>
      <input id="ws-tools" class="input mono" dir="ltr" spellcheck="false" autocomplete="off" value=${others.join(", ")}
        onChange=${(/** @type {any} */ event) => onChange([...ticked, ...event.target.value.split(",").map((/** @type {string} */ one) => one.trim()).filter(Boolean)])} /></div>`;
}
