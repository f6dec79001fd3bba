// Searching documents: a field, and what was found with the words marked; what stands below gives way meanwhile.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as library from "../api/knowledge.js";
import { navigate } from "../router.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";
import { documentPath } from "./paths.js";
import { excerpt } from "./marks.js";

const PAUSE = 250; // milliseconds after the last key
const MOST = 30;

/** @param {{query: string, here: string, collections: string[]|null, empty: boolean, children?: any}} props  `query` is the address's */
export function SearchArea({ query, here, collections, empty, children }) {
  const [text, setText] = useState(query);
  useEffect(() => {
    const wanted = text.trim();
    if (wanted === query) return;
    const timer = setTimeout(() => navigate(wanted ? `${here}?q=${encodeURIComponent(wanted)}` : here, { replace: true }), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  const label = t(collections ? "knowledge.searchHere" : "knowledge.search");
  return html`${!empty && html`<div class="rail-search is-wide" role="search" aria-label=${label}><${Icon} name="search" />
      <input class="input" type="search" dir="auto" autocomplete="off" maxlength="10000" aria-label=${label} placeholder=${label} value=${text}
        onInput=${(/** @type {any} */ event) => setText(event.target.value)} onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && text && (event.preventDefault(), setText(""))} />
      ${text && html`<button type="button" class="ghost icon-only" aria-label=${t("rail.searchClear")} onClick=${() => setText("")}><${Icon} name="close" /></button>`}</div>`}
    ${query.trim() ? html`<${Results} query=${query.trim()} collections=${collections} />` : children}`;
}

/** @param {{query: string, collections: string[]|null}} props */
function Results({ query, collections }) {
  const { data, failed } = useLoad(() => library.search({ query, limit: MOST, ...(collections ? { collections } : {}) }), [query]);
  const found = data?.data ?? [];
  return html`<section aria-label=${t("knowledge.results")} class="column">
    <p class="small muted" role="status">${failed ? t("knowledge.searchFailed") : data ? t("knowledge.found", { n: found.length }) : t("rail.searching")}</p>
    <ul class="lines">${found.map((one) => html`<${Hit} key=${one.id} one=${one} query=${query} />`)}</ul>
  </section>`;
}

/** @param {{one: import("../types.js").PassageFound, query: string}} props */
function Hit({ one, query }) {
  const where = [...one.heading, one.page === null ? "" : t("reader.page", { n: one.page })].filter(Boolean).join(" › ");
  return html`<li class="hit"><a class="hit-link" href=${documentPath(one.document, one.id)}>
    <span class="row"><${Icon} name="file" /><strong class="clip" dir="auto">${one.document.filename}</strong>
      ${one.weak && html`<span class="small muted" title=${t("knowledge.weakWhy")}>${t("knowledge.weak")}</span>`}</span>
    ${where && html`<span class="small muted" dir="auto">${where}</span>`}
    <span class="hit-text" dir="auto"><${Pieces} pieces=${excerpt(one.text, query)} /></span>
  </a></li>`;
}

/** @param {{pieces: import("./marks.js").Piece[]}} props */
export const Pieces = ({ pieces }) => pieces.map(({ text, hit }, at) => (hit ? html`<mark key=${at}>${text}</mark>` : text));
