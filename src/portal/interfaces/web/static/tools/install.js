// Installing skills: a source, then what is in it, then a yes.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { ApiError, removeFile, upload } from "../api.js";
import * as api from "../api/skills.js";
import { toast, toolsChanged } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { Contents } from "../views/skills.js";
import { packed } from "./tar.js";

/** @typedef {import("../types.js").Skill} Skill */
/** @typedef {{file_id?: string, url?: string}} Source */

/** @param {{onInstalled: () => Promise<void>}} props */
export function InstallSkills({ onInstalled }) {
  const [url, setUrl] = useState("");
  const [state, setState] = useState({ busy: false, error: "" });
  const [seen, setSeen] = useState(/** @type {{source: Source, skills: Skill[]}|null} */ (null));
  /** @param {() => Promise<void>} work */
  const busily = async (work) => {
    setState({ busy: true, error: "" });
    try {
      await work();
      setState({ busy: false, error: "" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setState({ busy: false, error: error.status ? error.message : t("error.unreachable") });
    }
  };
  /** @param {Source} source */
  const look = async (source) => setSeen({ source, skills: (await api.lookAtSkills(source)).data });
  /** @param {File} file */
  const lookInto = (file) => busily(async () => look({ file_id: (await upload(file, () => {}, new AbortController().signal)).id }));
  const leave = async () => {
    if (seen?.source.file_id) await removeFile(seen.source.file_id);
    setSeen(null);
  };
  /** @param {string[]} names */
  const install = (names) => busily(async () => {
    if (!seen) return;
    const made = await api.installSkills({ ...seen.source, names });
    toast(t("skills.installed", { names: made.data.map((each) => each.name).join(", ") }));
    await leave();
    setUrl("");
    toolsChanged();
    await onInstalled();
  });
  return html`${seen ? html`<${Seen} skills=${seen.skills} busy=${state.busy} onYes=${install} onNo=${() => busily(leave)} />`
    : html`<${Sources} url=${url} setUrl=${setUrl} busy=${state.busy} onFile=${lookInto} onUrl=${() => busily(() => look({ url: url.trim() }))} />`}
    <div role="status">${state.error && html`<p class="bad" dir="auto">${state.error}</p>`}</div>`;
}

/** @param {{url: string, setUrl: (url: string) => void, busy: boolean, onFile: (file: File) => void, onUrl: () => void}} props */
function Sources({ url, setUrl, busy, onFile, onUrl }) {
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    onUrl();
  };
  return html`<form class="form" onSubmit=${submit}>
    <div class="row wrap">
      <${Choose} label=${t("skills.archive")} disabled=${busy} onFiles=${(/** @type {File[]} */ files) => onFile(files[0])} accept=".zip,.tar,.tar.gz,.tgz" />
      <${Choose} label=${t("skills.folder")} disabled=${busy} onFiles=${async (/** @type {File[]} */ files) => onFile(await packed(files))} folder=${true} />
    </div>
    <div class="field"><label for="skills-url">${t("skills.repository")}</label>
      <input id="skills-url" class="input mono" dir="ltr" spellcheck="false" autocomplete="off" placeholder="https://example.org/skills.git" value=${url} onInput=${(/** @type {any} */ event) => setUrl(event.target.value)} /></div>
    <div class="row"><button class="button" disabled=${busy || !url.trim()}>${t(busy ? "skills.looking" : "skills.lookInto")}</button></div>
  </form>`;
}

/** A button that opens the browser's own choice. @param {{label: string, disabled: boolean, onFiles: (files: File[]) => void, accept?: string, folder?: boolean}} props */
function Choose({ label, disabled, onFiles, accept, folder = false }) {
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  const chosen = () => {
    const files = [...(input.current?.files ?? [])];
    if (input.current) input.current.value = "";
    if (files.length) onFiles(files);
  };
  return html`<button type="button" class="button" disabled=${disabled} onClick=${() => input.current?.click()}><${Icon} name=${folder ? "folder" : "file"} />${label}</button>
    <input ref=${input} type="file" hidden aria-label=${label} accept=${accept} webkitdirectory=${folder} onChange=${chosen} />`;
}

/** @param {{skills: Skill[], busy: boolean, onYes: (names: string[]) => void, onNo: () => void}} props */
function Seen({ skills, busy, onYes, onNo }) {
  const [chosen, setChosen] = useState(() => new Set(skills.map((each) => each.name)));
  const toggle = (/** @type {string} */ name) => {
    const next = new Set(chosen);
    if (!next.delete(name)) next.add(name);
    setChosen(next);
  };
  return html`<div class="column">
    <p class="notice"><${Icon} name="shield" /><span class="grow">${t("skills.warning")}</span></p>
    ${skills.map((each) => html`<section class="column" key=${each.name} aria-label=${each.name}>
      <label class="row"><input type="checkbox" class="check" checked=${chosen.has(each.name)} onChange=${() => toggle(each.name)} /><strong>${each.name}</strong>
        ${each.replaces && html`<span class="tag">${t("skills.replaces")}</span>`}</label>
      <p class="small" dir="auto">${each.description}</p>
      <details class="fold"><summary>${t("skills.look")}<${Icon} name="chevron" /></summary><${Contents} skill=${each} /></details>
    </section>`)}
    <div class="row wrap"><button type="button" class="button primary" disabled=${busy || !chosen.size} onClick=${() => onYes([...chosen])}>${t("skills.installDo", { n: chosen.size })}</button>
      <button type="button" class="button" disabled=${busy} onClick=${onNo}>${t("common.cancel")}</button></div>
  </div>`;
}
