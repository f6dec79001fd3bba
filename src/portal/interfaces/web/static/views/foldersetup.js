// What the conversations of a folder share: instructions, a workspace or model, files.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { announce, attempt, changeFolder, defaultModel, findFolder, isReadable, toast, uploadLimit } from "../state.js";
import { bytes } from "../format.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { ModelOptions } from "../models/options.js";

/** @typedef {import("../types.js").Folder} Folder */

/** @param {{folder: Folder}} props */
export function FolderSetup({ folder }) {
  return html`<${Instructions} folder=${folder} /><${Model} folder=${folder} /><${Files} folder=${folder} />`;
}

/** @param {{folder: Folder}} props */
function Instructions({ folder }) {
  const [text, setText] = useState(folder.instructions);
  const [saved, setSaved] = useState(false);
  useEffect(() => setText(folder.instructions), [folder.instructions]);
  const save = async () => {
    if (text === folder.instructions || !(await changeFolder(folder, { instructions: text }))) return;
    setSaved(true);
    announce(t("folder.saved"));
  };
  return html`<div class="field"><label for="folder-instructions">${t("folder.instructions")}</label>
    <textarea id="folder-instructions" class="input" dir="auto" rows="4" maxlength="100000" placeholder=${t("folder.instructionsExample")} value=${text} aria-describedby="folder-instructions-hint"
      onInput=${(/** @type {any} */ event) => { setText(event.target.value); setSaved(false); }} onBlur=${save}></textarea>
    <div class="row"><p id="folder-instructions-hint" class="small muted grow">${t("folder.instructionsHint")}</p>
      ${text !== folder.instructions ? html`<button type="button" class="button" onClick=${save}>${t("common.save")}</button>` : saved && html`<span class="small muted">${t("folder.saved")}</span>`}</div></div>`;
}

/** @param {{folder: Folder}} props */
function Model({ folder }) {
  return html`<div class="field"><label for="folder-model">${t("folder.model")}</label>
    <select id="folder-model" class="input" onChange=${(/** @type {any} */ event) => changeFolder(folder, { model: event.target.value || null })}>
      <option value="" selected=${!folder.model}>${t("folder.modelAny", { model: defaultModel.value ?? "auto" })}</option>
      <${ModelOptions} value=${folder.model} />
    </select></div>`;
}

/** @param {{folder: Folder}} props */
function Files({ folder }) {
  const [uploading, setUploading] = useState(/** @type {string[]} */ ([]));
  /** @param {Event} event */
  const add = async (event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    const files = [...(field.files ?? [])];
    field.value = "";
    for (const file of files) {
      if (file.size > uploadLimit.value) toast(t("attach.tooBig", { limit: bytes(uploadLimit.value) }));
      else if (!(await isReadable(file))) toast(t("attach.refused", { name: file.name }));
      else await upload(file);
    }
  };
  /** @param {File} file */
  const upload = async (file) => {
    setUploading((old) => [...old, file.name]);
    await attempt(async () => {
      const { id } = await api.upload(file, () => {});
      const now = findFolder(folder.id) ?? folder;
      await changeFolder(now, { file_ids: [...now.file_ids, id] });
    });
    setUploading((old) => old.filter((name) => name !== file.name));
  };
  return html`<section class="field" aria-labelledby="folder-files"><span id="folder-files" class="label">${t("folder.files")}</span>
    <ul class="lines">${folder.file_ids.map((id) => html`<${FileLine} key=${id} id=${id} folder=${folder} />`)}
      ${uploading.map((name) => html`<li key=${name} class="line muted" role="status">${t("folder.uploading", { name })}</li>`)}</ul>
    <div class="row"><label class="button file-button"><${Icon} name="attach" />${t("folder.addFile")}<input type="file" class="sr-only" multiple onChange=${add} /></label>
      <p class="small muted grow">${t("folder.filesHint")}</p></div></section>`;
}

/** @param {{id: string, folder: Folder}} props */
function FileLine({ id, folder }) {
  const { data, failed } = useLoad(() => api.fileInfo(id), [id]);
  const name = data?.filename ?? (failed ? id : "");
  const remove = async () => {
    const before = folder.file_ids;
    if (!(await changeFolder(folder, { file_ids: before.filter((each) => each !== id) }))) return;
    toast(t("folder.fileRemoved", { name }), { action: t("common.undo"), run: () => changeFolder(findFolder(folder.id) ?? folder, { file_ids: before }) });
  };
  return html`<li class="line"><${Icon} name="file" /><a class="grow clip" dir="auto" href=${api.fileContent(id)} target="_blank" rel="noreferrer">${name}</a>
    ${data && html`<span class="small muted">${bytes(data.bytes)}</span>`}
    <button type="button" class="ghost icon-only" aria-label=${t("folder.removeFile", { name })} onClick=${remove}><${Icon} name="close" /></button></li>`;
}
