// A file as a card: what it is, a player or a small picture of it, a look inside, and the way to have it.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { fileContent } from "../api.js";
import { shown, thumbnail } from "../api/files.js";
import { inspect } from "../state.js";
import { bytes } from "../format.js";
import { Icon } from "../icons.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { kindOf } from "./kinds.js";

/** @typedef {{file_id: string, filename: string, content_type?: string, size?: number, width?: number, height?: number}} Shown */

/** @param {{file: Shown}} props */
export function FileCard({ file }) {
  useSheet("files");
  const kind = kindOf(file.filename, file.content_type);
  if (kind === "image") return html`<${Player} file=${file} />`;
  return html`<div class="file-card is-${kind}">
    ${kind === "pdf" && html`<${Small} id=${file.file_id} />`}
    <${Line} file=${file} />
    <${Player} file=${file} />
  </div>`;
}

/** Its name, to download it, its size, and a look inside. @param {{file: Shown}} props */
export function Line({ file }) {
  useSheet("files");
  const { file_id, filename, size } = file;
  return html`<div class="file-line"><${Icon} name="file" />
    <a class="clip grow" dir="auto" href=${fileContent(file_id)} download=${filename} title=${t("files.download", { name: filename })}>${filename}</a>
    ${size !== undefined && html`<span class="small muted">${bytes(size)}</span>`}
    <${Look} file=${file} /></div>`;
}

/** The button that opens a file beside the conversation. @param {{file: Shown}} props */
export function Look({ file }) {
  useSheet("files");
  const { file_id, filename, content_type = "" } = file;
  if (!["pdf", "text", "document"].includes(kindOf(filename, content_type))) return null;
  const open = () => inspect({ kind: "file", id: file_id, name: filename, type: content_type });
  return html`<button type="button" class="ghost" aria-label=${t("files.previewOf", { name: filename })} onClick=${open}>${t("files.preview")}</button>`;
}

/** Of what can be heard or seen; `label` says what it is, for who does not. @param {{file: Shown, label?: string}} props */
export function Player({ file, label = file.filename }) {
  useSheet("files");
  const { file_id, filename, content_type = "", width, height } = file;
  const kind = kindOf(filename, content_type);
  const source = shown(file_id);
  if (kind === "image") return html`<a href=${source} target="_blank" rel="noopener"><img class="sent-image" src=${source} alt=${label} loading="lazy" width=${width} height=${height} /></a>`;
  if (kind === "audio") return html`<audio class="file-player" controls preload="metadata" src=${source} aria-label=${label}></audio>`;
  if (kind === "video") return html`<video class="file-player" controls preload="metadata" playsinline src=${source} aria-label=${label}></video>`;
  return null;
}

/** A small picture, where there is one. @param {{id: string}} props */
function Small({ id }) {
  const [there, setThere] = useState(true);
  return there && html`<img class="file-small" src=${thumbnail(id)} alt="" loading="lazy" onError=${() => setThere(false)} />`;
}

/** What a question brought along: nothing but the ways to look at it. @param {{file: Shown}} props */
export function Sent({ file }) {
  return html`<${Look} file=${file} /><${Player} file=${file} />`;
}
