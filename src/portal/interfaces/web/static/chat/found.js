// A search of the person's documents before or within an answer: one quiet line, what was found when opened.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { inspect } from "../state.js";
import { lazy } from "../lazy.js";
import { documentPath } from "../knowledge/paths.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

const Glimpse = lazy(async () => (await import("./glimpse.js")).Glimpse);

/** @typedef {{file_id: string, filename: string, text?: string} & Record<string, any>} Result */

/** @param {{item: import("../types.js").Item}} props */
export function FileSearch({ item }) {
  const [open, setOpen] = useState(false);
  if (item.status === "in_progress" || item.status === "searching") return html`<p class="progress" role="status"><span class="pulse" aria-hidden="true"></span>${t("found.searching")}</p>`;
  if (item.status === "failed") return html`<p class="decided"><${Icon} name="warn" /><span>${t("found.failed")}</span></p>`;
  /** @type {Result[]} */
  const found = item["portal:found"] ?? item.results ?? [];
  const documents = new Set(found.map((one) => one.file_id)).size;
  const words = found.length ? t("found.line", { n: documents, passages: t("found.passages", { n: found.length }) }) : t("found.nothing");
  const [asked] = item.queries ?? []; // the others only add what was said before
  return html`<details class="fold" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary><${Icon} name="library" /><span>${words}</span><${Icon} name="chevron" /></summary>
    <div class="fold-body column">
      ${asked && html`<p class="small"><span class="label">${t("found.asked")}</span> <q dir="auto">${asked}</q></p>`}
      ${open && found.length > 0 && html`<ul class="plain found-list">${found.map((one, at) => html`<li key=${at}><${Passage} one=${one} /></li>`)}</ul>`}
    </div>
  </details>`;
}

/** @param {{one: Result}} props */
function Passage({ one }) {
  const passage = one["portal:passage_id"] ?? one.passage_id ?? one["portal:passage"]?.id ?? "";
  const page = one["portal:page"] ?? one.page ?? one["portal:passage"]?.page ?? null;
  /** @param {MouseEvent} event */
  const open = (event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    inspect({ kind: "passage", id: passage, file: one.file_id, passage, title: one.filename, page });
  };
  return html`<a href=${documentPath(one, passage)} onClick=${open}><span class="clip" dir="auto">${one.filename}</span>${page !== null && html` <span class="small muted">${t("reader.page", { n: page })}</span>`}</a>
    ${passage && html`<${Glimpse} id=${passage} />`}`;
}
