// A file beside the conversation: a PDF in the browser's own viewer, anything else as what it says.
import { html } from "htm/preact";
import { fileContent } from "../api.js";
import * as api from "../api/files.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { Markdown } from "../chat/markdown.js";
import { kindOf } from "./kinds.js";

/** @param {{id: string, name: string, type: string}} props */
export function FilePane({ id, name, type }) {
  useSheet("files");
  const framed = kindOf(name, type) === "pdf" && navigator.pdfViewerEnabled;
  return html`<div class="column file-pane">
    <div class="row"><h3 class="grow clip" dir="auto">${name}</h3>
      <a class="button" href=${fileContent(id)} download=${name}><${Icon} name="download" />${t("files.have")}</a></div>
    ${framed ? html`<iframe class="file-frame" src=${api.shown(id)} title=${name}></iframe>` : html`<${Words} id=${id} />`}
  </div>`;
}

/** @param {{id: string}} props */
function Words({ id }) {
  const { data, failed } = useLoad(() => api.text(id), [id]);
  if (failed) return html`<p class="notice"><${Icon} name="info" /><span class="grow">${failed.message}</span></p>`;
  if (!data) return html`<p class="muted" role="status">${t("files.reading")}</p>`;
  if (!data.text.trim()) return html`<p class="muted">${t("files.empty")}</p>`;
  return html`<div class="file-words"><${Markdown} text=${data.text} done=${true} /></div>
    ${!data.whole && html`<p class="small muted">${t("files.more")}</p>`}`;
}
