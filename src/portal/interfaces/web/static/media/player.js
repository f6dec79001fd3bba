// A picture, a video or a sound, with what the browser plays it with. Nothing is fetched before it is wanted.
import { html } from "htm/preact";
import { shown } from "../api/files.js";
import { bytes } from "../format.js";
import { Icon } from "../icons.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").MediaFile} MediaFile */

/** @param {{file: MediaFile, label?: string, large?: boolean}} props  `label` says what it is, for who does not see it */
export function Player({ file, label = file.filename, large = false }) {
  useSheet("media");
  const source = shown(file.file_id);
  const kind = file.content_type.split("/")[0];
  return html`<figure class=${`media-player is-${kind}${large ? " is-large" : ""}`}>
    ${kind === "image" && html`<a href=${source} target="_blank" rel="noopener"><img src=${source} alt=${label} loading="lazy" width=${file.width} height=${file.height} /></a>`}
    ${kind === "video" && html`<video src=${source} aria-label=${label} controls preload="metadata" playsinline></video>`}
    ${kind === "audio" && html`<audio src=${source} aria-label=${label} controls preload="metadata"></audio>`}
    <figcaption class="row small muted"><span class="clip grow" dir="auto">${file.filename}</span><span>${bytes(file.size)}</span>
      <a class="ghost icon-only" href=${source} download=${file.filename} aria-label=${t("media.download", { name: file.filename })} title=${t("media.downloadShort")}><${Icon} name="download" /></a></figcaption>
  </figure>`;
}
