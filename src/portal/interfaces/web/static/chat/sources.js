// The passages an answer cites: chips that open them at the side.
import { html } from "htm/preact";
import { inspect } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @param {{turn: import("../types.js").Turn}} props */
export function Sources({ turn }) {
  const cited = citations(turn);
  if (!cited.length) return null;
  return html`<ul class="sources" aria-label=${t("sources.label")}>
    ${cited.map(({ url, title }, index) => html`<li><${Chip} url=${url} title=${title || url} n=${index + 1} /></li>`)}
  </ul>`;
}

/** @param {{url: string, title: string, n: number}} props */
function Chip({ url, title, n }) {
  const inside = html`<${Icon} name=${url.startsWith("/manual/") ? "book" : "external"} /><span class="clip">${title}</span>`;
  if (!url.startsWith("/manual/")) return html`<a class="chip is-source" href=${url} target="_blank" rel="noopener noreferrer">${inside}</a>`;
  return html`<button type="button" class="chip is-source" aria-label=${t("sources.open", { n, title })}
    onClick=${() => inspect({ kind: "source", id: url, title })}>${inside}</button>`;
}

/** @param {import("../types.js").Turn} turn @returns {{url: string, title: string}[]} */
function citations(turn) {
  const all = turn.output
    .flatMap((item) => (Array.isArray(item?.content) ? item.content : []))
    .flatMap((part) => part.annotations ?? [])
    .filter((note) => note.type === "url_citation" && /^(?:\/manual\/|https?:)/.test(note.url));
  return [...new Map(all.map((note) => [note.url, { url: note.url, title: note.title }])).values()];
}
