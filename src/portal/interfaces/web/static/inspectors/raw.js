// A response exactly as /v1/responses gives it.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { t } from "../strings.js";
import { CodeBlock } from "../chat/code.js";

/** @param {{id: string}} props */
export function Raw({ id }) {
  const [text, setText] = useState(/** @type {string|null} */ (null));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    api.response(id).then((answer) => setText(JSON.stringify(answer, null, 2)), () => setFailed(true));
  }, [id]);
  return html`<div class="column">
    <p class="small muted">${t("raw.address")}: <a class="mono" href=${api.responseAddress(id)} target="_blank" rel="noopener">${api.responseAddress(id)}</a></p>
    ${failed && html`<p class="bad">${t("raw.failed")}</p>`}
    ${text !== null && html`<${CodeBlock} text=${text} language="json" />`}
  </div>`;
}
