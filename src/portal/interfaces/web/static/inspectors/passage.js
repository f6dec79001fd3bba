// The passage a citation points to, in its document beside the conversation.
import { html } from "htm/preact";
import { closeInspector } from "../state.js";
import { t } from "../strings.js";
import { documentPath } from "../knowledge/paths.js";
import { Reader } from "../knowledge/reader.js";

/** @param {{file: string, passage: string, title: string, page: number|null}} props */
export function PassagePane({ file, passage, title, page }) {
  return html`<div class="column">
    <div><h3 dir="auto">${title}</h3><p class="small muted row wrap">${page !== null && html`<span>${t("reader.page", { n: page })}</span>`}<a href=${documentPath({ file_id: file }, passage)} onClick=${closeInspector}>${t("reader.openWhole")}</a></p></div>
    <${Reader} key=${file} file=${file} passage=${passage} level=${4} />
  </div>`;
}
