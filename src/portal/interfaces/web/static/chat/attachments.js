// The files waiting in the composer: preview, progress, what went wrong.
import { html } from "htm/preact";
import { attachments, detach, retryUpload } from "../state.js";
import { bytes } from "../format.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @param {{model: import("../types.js").Model|null}} props  the model that will get them */
export function AttachmentStrip({ model }) {
  const files = attachments.value;
  if (!files.length) return null;
  const blind = model && !model.capabilities.includes("vision") && files.some((file) => file.kind === "image");
  return html`<ul class="attachments">${files.map((file) => html`<${Waiting} key=${file.key} file=${file} />`)}</ul>
    ${blind && html`<p class="small attach-note"><${Icon} name="info" /><span>${t("attach.noVision", { model: model.id })}</span></p>`}`;
}

/** @param {{file: import("../types.js").Attachment}} props */
function Waiting({ file }) {
  const percent = file.size ? Math.min(100, Math.round((file.sent / file.size) * 100)) : 100;
  return html`<li class=${file.error ? "attachment is-bad" : "attachment"}>
    ${file.preview ? html`<img src=${file.preview} alt="" />` : html`<${Icon} name="file" />`}
    <span class="attachment-text">
      <span class="clip">${file.name}</span>
      <span class="small clip ${file.error ? "bad" : "muted"}">${file.error ?? bytes(file.size)}</span>
      ${!file.error && !file.id && !file.data && html`<progress max="100" value=${percent} aria-label=${t("attach.progress", { percent })}></progress>`}
    </span>
    ${file.error && file.file && html`<button type="button" class="ghost icon-only" aria-label=${t("attach.retry", { name: file.name })}
      onClick=${() => retryUpload(file.key)}><${Icon} name="again" /></button>`}
    <button type="button" class="ghost icon-only" aria-label=${t("attach.remove", { name: file.name })} onClick=${() => detach(file.key)}>
      <${Icon} name="close" />
    </button>
  </li>`;
}
