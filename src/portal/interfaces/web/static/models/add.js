// Add a model server: what it is, where it is; then wait with the person until it answers.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { backends, loadModels, lookForServers } from "../state.js";
import { t } from "../strings.js";
import { Status } from "./backends.js";

const KINDS = /** @type {const} */ (["openai_compatible", "ollama"]);
const EXAMPLES = { ollama: "http://192.168.1.20:11434", openai_compatible: "http://192.168.1.20:1234" };

/** @typedef {{name: string, label: string, url: string, cloud: boolean}} Preset */

/** @param {{id?: string}} props  `id` tells the fields of two such forms apart */
export function AddServer({ id = "add" }) {
  const [kind, setKind] = useState("openai_compatible");
  const [presets, setPresets] = useState(/** @type {Preset[]} */ ([]));
  useEffect(() => void api.presets().then((answer) => setPresets(answer.data.filter((/** @type {Preset} */ each) => each.cloud)), () => {}), []);
  const cloud = presets.find((each) => each.name === kind);
  const [fields, setFields] = useState({ url: "", name: "", api_key: "" });
  const [state, setState] = useState(/** @type {{busy: boolean, error: string, added: string|null}} */ ({ busy: false, error: "", added: null }));
  /** @param {keyof typeof fields} name */
  const field = (name) => ({
    value: fields[name], id: `${id}-${name}`, onInput: (/** @type {any} */ event) => setFields({ ...fields, [name]: event.target.value }),
  });
  /** @param {Event} event */
  const add = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: "", added: null });
    try {
      const sent = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
      const added = await api.addBackend({ kind, .../** @type {any} */ (sent) });
      setFields({ url: "", name: "", api_key: "" });
      setState({ busy: false, error: "", added: added.name });
      await loadModels();
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      setState({ busy: false, error: error.status ? error.message : t("error.unreachable"), added: null });
    }
  };
  return html`<form class="form" onSubmit=${add}>
    <div class="field"><label for=${`${id}-kind`}>${t("models.kind")}</label>
      <select id=${`${id}-kind`} class="input" value=${kind} onChange=${(/** @type {any} */ event) => setKind(event.target.value)}>
        <optgroup label=${t("models.own")}>${KINDS.map((each) => html`<option key=${each} value=${each}>${t(`models.kind.${each}`)}</option>`)}</optgroup>
        ${presets.length > 0 && html`<optgroup label=${t("models.cloud")}>${presets.map(({ name, label }) => html`<option key=${name} value=${name}>${label}</option>`)}</optgroup>`}
      </select></div>
    ${cloud
      ? html`<p class="notice small"><span class="grow">${t("models.leaves", { name: cloud.label })}</span></p>`
      : html`<div class="field"><label for=${`${id}-url`}>${t("models.address")}</label>
        <input class="input mono" dir="ltr" inputmode="url" required spellcheck="false" autocomplete="off" placeholder=${EXAMPLES[/** @type {keyof typeof EXAMPLES} */ (kind)]} ...${field("url")} /></div>`}
    <div class="form-pair">
      <div class="field"><label for=${`${id}-api_key`}>${cloud ? t("models.itsKey") : t("models.key")}</label><input class="input" type="password" autocomplete="off" ...${field("api_key")} /></div>
      <div class="field"><label for=${`${id}-name`}>${t("models.label")}</label><input class="input" dir="auto" maxlength="100" autocomplete="off" ...${field("name")} /></div>
    </div>
    <div class="row"><button class="button primary" disabled=${state.busy || !(cloud ? fields.api_key : fields.url).trim()}>${state.busy ? t("models.adding") : t("models.addDo")}</button></div>
    <div role="status">
      ${state.error && html`<p class="bad" dir="auto">${state.error}</p>`}
      ${state.added && html`<${FoundIt} name=${state.added} />`}
    </div>
  </form>`;
}

/** The live check on a server that was just added. @param {{name: string}} props */
function FoundIt({ name }) {
  const backend = backends.value.find((each) => each.name === name);
  const there = backend?.status === "up";
  useEffect(() => (there ? undefined : lookForServers()), [there]);
  if (!backend) return null;
  return html`<p class=${there ? "found is-found" : "found"}><${Status} backend=${backend} />
    <span>${there ? t("models.foundIt", { n: backend.models }) : t("models.notYet")}</span></p>
    ${!there && backend.error && html`<p class="small muted" dir="auto">${backend.error}</p>`}`;
}
