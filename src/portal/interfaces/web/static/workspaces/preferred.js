// The models that a workspace wants, in order: added with type-ahead from those installed, moved and removed by button.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { announce, chatModels, guideModel } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";

const WISHES = ["@coding", "@reasoning", "@math", "@vision", "@tools", "@audio"];

/** @param {{prefer: string[], onChange: (prefer: string[]) => void}} props */
export function Preferred({ prefer, onChange }) {
  const [text, setText] = useState("");
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  const installed = chatModels.value.map(({ id }) => id).filter((id) => id !== guideModel.value);
  const add = () => {
    const wanted = text.trim();
    if (wanted && !prefer.includes(wanted)) onChange([...prefer, wanted]);
    setText("");
    field.current?.focus();
  };
  /** @param {number} from @param {number} to */
  const move = (from, to) => {
    const next = [...prefer];
    next.splice(to, 0, ...next.splice(from, 1));
    onChange(next);
    announce(`${prefer[from]}: ${to + 1}`);
  };
  return html`<fieldset class="form"><legend class="label">${t("workspaces.models")}</legend>
    ${prefer.length > 0 && html`<ol class="lines workspace-models">${prefer.map((model, at) => html`<li key=${model} class="line">
      <span class="grow"><span class="mono" dir="ltr">${model}</span>
        <${Meant} wish=${model} installed=${installed} last=${at === prefer.length - 1} /></span>
      <button type="button" class="ghost icon-only" disabled=${at === 0} aria-label=${t("workspaces.modelUp", { model })} onClick=${() => move(at, at - 1)}><span class="flip"><${Icon} name="chevron" /></span></button>
      <button type="button" class="ghost icon-only" disabled=${at === prefer.length - 1} aria-label=${t("workspaces.modelDown", { model })} onClick=${() => move(at, at + 1)}><${Icon} name="chevron" /></button>
      <button type="button" class="ghost icon-only" aria-label=${t("workspaces.modelRemove", { model })} onClick=${() => onChange(prefer.filter((each) => each !== model))}><${Icon} name="close" /></button>
    </li>`)}</ol>`}
    <div class="row"><input ref=${field} class="input mono" dir="ltr" list="ws-models" maxlength="200" spellcheck="false" autocomplete="off" aria-label=${t("workspaces.modelAdd")} placeholder=${t("workspaces.modelAdd")}
        value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter") { event.preventDefault(); add(); } }} />
      <button type="button" class="button" disabled=${!text.trim()} onClick=${add}>${t("workspaces.modelAddDo")}</button></div>
    <datalist id="ws-models">${[...installed, ...WISHES].filter((each) => !prefer.includes(each)).map((each) => html`<option key=${each} value=${each}></option>`)}</datalist>
    <p class="small muted">${t("workspaces.modelsHint")}</p>
  </fieldset>`;
}

/** What a name leads to where that is not it itself. @param {{wish: string, installed: string[], last: boolean}} props */
function Meant({ wish, installed, last }) {
  if (/[@*?[]/.test(wish) || installed.some((id) => id === wish || id === `${wish}:latest`)) return null;
  const tagged = installed.filter((id) => id.split(":")[0] === wish).join(", ");
  if (tagged) return html` <span class="small muted">${t("workspaces.modelMeans", { model: tagged })}</span>`;
  return html` <span class="small muted">${t(last ? "workspaces.modelMissing" : "workspaces.modelMissingNext")}</span>`;
}
