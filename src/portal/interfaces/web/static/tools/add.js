// Add a tool server at an address.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { toast, toolsChanged } from "../state.js";
import { t } from "../strings.js";

const EMPTY = { name: "", url: "", key: "" };

/** @param {{onAdded: () => Promise<void>}} props */
export function AddToolServer({ onAdded }) {
  const [kind, setKind] = useState("mcp");
  const [fields, setFields] = useState(EMPTY);
  const [state, setState] = useState({ busy: false, error: "" });
  /** @param {keyof typeof EMPTY} name */
  const field = (name) => ({
    value: fields[name], id: `toolserver-${name}`, onInput: (/** @type {any} */ event) => setFields({ ...fields, [name]: event.target.value }),
  });
  /** @param {Event} event */
  const add = async (event) => {
    event.preventDefault();
    setState({ busy: true, error: "" });
    const { name, url, key } = fields;
    const way = kind === "oauth" ? { auth: "oauth" } : { kind };
    const headers = key.trim() && kind !== "oauth" ? { headers: { Authorization: `Bearer ${key.trim()}` } } : {};
    try {
      await api.addToolServer({ name: name.trim(), url: url.trim(), ...way, ...headers });
      setFields(EMPTY);
      setState({ busy: false, error: "" });
      toast(t("toolservers.added", { name: name.trim() }));
      toolsChanged();
      await onAdded();
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      setState({ busy: false, error: error.status ? error.message : t("error.unreachable") });
    }
  };
  return html`<form class="form" onSubmit=${add}>
    <div class="field"><label for="toolserver-kind">${t("models.kind")}</label>
      <select id="toolserver-kind" class="input" value=${kind} onChange=${(/** @type {any} */ event) => setKind(event.target.value)}>
        <option value="mcp">${t("tools.kind.mcp")}</option><option value="oauth">${t("toolservers.oauth")}</option><option value="openapi">${t("tools.kind.openapi")}</option>
      </select></div>
    <div class="field"><label for="toolserver-url">${t("models.address")}</label>
      <input class="input mono" dir="ltr" inputmode="url" required spellcheck="false" autocomplete="off" placeholder=${kind === "openapi" ? "http://127.0.0.1:8000/openapi.json" : "https://example.org/mcp"} ...${field("url")} /></div>
    <div class="form-pair">
      <div class="field"><label for="toolserver-name">${t("toolservers.name")}</label><input class="input" dir="ltr" required maxlength="32" spellcheck="false" autocomplete="off" ...${field("name")} /></div>
      ${kind !== "oauth" && html`<div class="field"><label for="toolserver-key">${t("models.key")}</label><input class="input" type="password" autocomplete="off" ...${field("key")} /></div>`}
    </div>
    <div class="row"><button class="button primary" disabled=${state.busy || !fields.url.trim() || !fields.name.trim()}>${t(state.busy ? "models.adding" : "models.addDo")}</button></div>
    <div role="status">${state.error && html`<p class="bad" dir="auto">${state.error}</p>`}</div>
  </form>`;
}
