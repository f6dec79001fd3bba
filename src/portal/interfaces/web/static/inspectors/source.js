// The passage a citation points to: one section of the manual.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as api from "../api.js";
import { t } from "../strings.js";
import { Markdown } from "../chat/markdown.js";
import { section } from "../markdown/section.js";

/** @param {{id: string, title?: string}} props  `id` is a manual address: /manual/PAGE#SECTION */
export function Source({ id, title }) {
  const [text, setText] = useState(/** @type {string|null} */ (null));
  const [failed, setFailed] = useState(false);
  const url = new URL(id, location.origin);
  useEffect(() => {
    const page = decodeURIComponent(url.pathname.replace(/^\/manual\//, ""));
    api.manualPage(page).then((answer) => setText(section(answer.markdown, url.hash.slice(1))), () => setFailed(true));
  }, [id]);
  return html`<div class="column">
    ${title && html`<h3>${title}</h3>`}
    ${failed && html`<p class="bad">${t("source.failed")}</p>`}
    ${text !== null && html`<${Markdown} text=${text} done=${true} />`}
    <p><a href=${id}>${t("source.open")}</a></p>
  </div>`;
}
