// Where a page of a document begins; a page of a PDF is shown there as it is printed, once it is asked for.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as files from "../api/files.js";
import { t } from "../strings.js";

/** @param {{file: string, page: number, printed: boolean}} props  `printed` is whether there is a picture of it */
export function Leaf({ file, page, printed }) {
  const [shown, setShown] = useState(false);
  const [failed, setFailed] = useState(false);
  const name = t("reader.page", { n: page });
  return html`<p class="reader-page small muted"><span>${name}</span>
      ${printed && html`<button type="button" class="ghost small" aria-expanded=${shown} aria-label=${`${t("reader.leaf")}: ${name}`} onClick=${() => setShown(!shown)}>${t("reader.leaf")}</button>`}</p>
    ${shown && (failed ? html`<p class="muted small" role="status">${t("reader.leafFailed")}</p>` : html`<img class="reader-leaf" src=${files.page(file, page)} alt=${name} onError=${() => setFailed(true)} />`)}`;
}
