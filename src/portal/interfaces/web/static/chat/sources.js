// What an answer rests on: the passages it cites, which open at the side, and the pages it names.
import { html } from "htm/preact";
import { inspect } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { documentPath } from "../knowledge/paths.js";
import { citedSources } from "../markdown/citations.js";
import { openSource } from "./cited.js";

/** @param {{turn: import("../types.js").Turn}} props */
export function Sources({ turn }) {
  const notes = turn.output.flatMap((item) => (Array.isArray(item?.content) ? item.content : [])).flatMap((part) => part.annotations ?? []);
  const cited = citedSources(notes);
  const pages = addresses(notes);
  if (cited.length || pages.length) {
    return html`<ul class="sources" aria-label=${t("sources.label")}>
      ${cited.map((one) => html`<li key=${one.number}><${Passage} one=${one} /></li>`)}
      ${pages.map(({ url, title }, index) => html`<li key=${url}><${Chip} url=${url} title=${title || url} n=${index + 1} /></li>`)}
    </ul>`;
  }
  return turn.output.some((item) => item?.["portal:uncited"]) && html`<p class="uncited small muted"><${Icon} name="info" /><span>${t("cite.none")}</span></p>`;
}

/** @param {{one: import("../markdown/citations.js").Cited}} props */
function Passage({ one }) {
  /** @param {MouseEvent} event */
  const open = (event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    openSource(one);
  };
  return html`<a class="chip is-source" href=${documentPath({ file_id: one.file }, one.passage)} onClick=${open}>
    <b class="source-number">${one.number}</b><span class="clip" dir="auto">${one.title}</span>${one.page !== null && html`<span class="muted">${t("reader.pageShort", { n: one.page })}</span>`}</a>`;
}

/** @param {{url: string, title: string, n: number}} props */
function Chip({ url, title, n }) {
  const inside = html`<${Icon} name=${url.startsWith("/manual/") ? "book" : "external"} /><span class="clip">${title}</span>`;
  if (!url.startsWith("/manual/")) return html`<a class="chip is-source" href=${url} target="_blank" rel="noopener noreferrer">${inside}</a>`;
  return html`<button type="button" class="chip is-source" aria-label=${t("sources.open", { n, title })}
    onClick=${() => inspect({ kind: "source", id: url, title })}>${inside}</button>`;
}

/** @param {Record<string, any>[]} notes @returns {{url: string, title: string}[]} */
function addresses(notes) {
  const all = notes.filter((note) => note.type === "url_citation" && /^(?:\/manual\/|https?:)/.test(note.url));
  return [...new Map(all.map((note) => [note.url, { url: note.url, title: note.title }])).values()];
}
