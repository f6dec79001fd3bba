// The documents of a collection: how far each is, what went wrong, and what can be done. Read on as one scrolls.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { fileContent } from "../api.js";
import * as library from "../api/knowledge.js";
import { knowledgeNews } from "../state.js";
import { readAgain, removeDocument } from "../state/knowledge.js";
import { bytes, number } from "../format.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { useNear, usePages } from "../load.js";
import { Menu } from "../menu.js";
import { t } from "../strings.js";
import { documentPath } from "./paths.js";

/** @typedef {import("../types.js").KnowledgeDocument} KnowledgeDocument */
/** @typedef {import("../types.js").FileCounts} FileCounts */

/** @type {[string, keyof FileCounts, "documents.all"|"documents.reading"|"documents.failed"|"documents.cancelled"][]} */
const KINDS = [["", "total", "documents.all"], ["in_progress", "in_progress", "documents.reading"], ["failed", "failed", "documents.failed"], ["cancelled", "cancelled", "documents.cancelled"]];

/** @param {{collection: string, counts: FileCounts, ticks: number}} props */
export function DocumentList({ collection, counts, ticks }) {
  const [kind, setKind] = useState("");
  const [leaving, setLeaving] = useState(/** @type {KnowledgeDocument|null} */ (null));
  const { data, next, loaded, failed, more, reload, change } = usePages((query) => library.documents(collection, { status: kind || null, ...query }), [collection, kind]);
  useEffect(() => void (ticks && reload()), [ticks]);
  useEffect(() => change((old) => told(old, knowledgeNews.value)), [knowledgeNews.value]);
  const again = async (/** @type {string} */ file) => {
    if (await readAgain(collection, file || undefined)) await reload();
  };
  const remove = async (/** @type {KnowledgeDocument} */ one) => {
    if (await removeDocument(one)) change((old) => old.filter((each) => each.file_id !== one.file_id));
  };
  const kinds = KINDS.filter(([value, count]) => !value || counts[count] > 0 || value === kind);
  return html`
    ${kinds.length > 1 && html`<fieldset class="segments"><legend class="sr-only">${t("documents.show")}</legend><div>${kinds.map(([value, count, label]) => html`<label key=${value} class="segment">
      <input type="radio" name="documents-kind" value=${value} checked=${kind === value} onChange=${() => setKind(value)} /><span>${t(label)} <b class="segment-count">${number(counts[count])}</b></span></label>`)}</div></fieldset>`}
    ${counts.failed > 0 && kind === "failed" && html`<div><button type="button" class="button" onClick=${() => again("")}><${Icon} name="again" />${t("documents.againAll")}</button></div>`}
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${loaded && !failed && !data.length && html`<p class="muted documents-none">${t(kind ? "documents.noneSuch" : "documents.none")}</p>`}
    <ul class="lines documents">${data.map((one) => html`<${Row} key=${one.file_id} one=${one} onAgain=${again} onRemove=${setLeaving} />`)}</ul>
    ${next && html`<${More} key=${next} onNear=${more} />`}
    ${leaving && html`<${Confirm} title=${t("documents.removeOne", { name: leaving.filename })} text=${t("documents.removeText")} action=${t("common.delete")} danger=${true}
      onYes=${() => remove(leaving)} onClose=${() => setLeaving(null)} />`}`;
}

/** What an event says of one of them. @param {KnowledgeDocument[]} data @param {Record<string, any>} news */
function told(data, { file_id, status, progress }) {
  const at = status === "in_progress" ? data.findIndex((each) => each.file_id === file_id) : -1;
  return at < 0 ? data : data.with(at, { ...data[at], status, progress });
}

/** Reads on when it comes near the window; a button for those who get there otherwise. @param {{onNear: () => unknown}} props */
function More({ onNear }) {
  const element = useNear(onNear);
  return html`<p ref=${element}><button type="button" class="button" onClick=${onNear}>${t("documents.more")}</button></p>`;
}

/** @param {{one: KnowledgeDocument, onAgain: (file: string) => unknown, onRemove: (one: KnowledgeDocument) => void}} props */
function Row({ one, onAgain, onRemove }) {
  const readable = one.passages_count > 0;
  const about = [folderOf(one), bytes(one.size), readable ? t("documents.passages", { n: one.passages_count }) : ""].filter(Boolean).join(" · ");
  const name = html`<${Icon} name=${one.place.startsWith("http") ? "external" : "file"} /><span class="clip" dir="auto">${one.filename}</span>`;
  return html`<li class="line document">
    <div class="grow past">${readable ? html`<a class="row document-name" href=${documentPath(one)}>${name}</a>` : html`<span class="row document-name">${name}</span>`}
      <span class="small muted clip" dir="auto">${about}</span></div>
    <${Standing} one=${one} />
    ${(one.status === "failed" || one.status === "cancelled") && html`<button type="button" class="button" aria-label=${`${t("common.retry")}: ${one.filename}`} onClick=${() => onAgain(one.file_id)}>${t("common.retry")}</button>`}
    <${Menu} label=${t("documents.menu", { name: one.filename })} button=${html`<${Icon} name="more" />`} align="end">${(/** @type {() => void} */ close) => html`
      ${readable && html`<a role="menuitem" tabindex="-1" href=${documentPath(one)} onClick=${close}><${Icon} name="book" />${t("documents.read")}</a>`}
      <a role="menuitem" tabindex="-1" href=${fileContent(one.file_id)} download=${one.filename} onClick=${close}><${Icon} name="download" />${t("documents.download")}</a>
      ${!one.place && html`<button type="button" role="menuitem" tabindex="-1" class="danger" onClick=${() => { close(); onRemove(one); }}><${Icon} name="trash" />${t("common.delete")}</button>`}
      ${one.place && html`<p class="menu-note small muted">${t("documents.comesFrom", { place: one.place })}</p>`}`}
    <//>
    ${one.error && html`<p class="document-error small bad" dir="auto">${one.error.message}</p>`}
  </li>`;
}

/** Where it lies: in the folder that was dropped, or the one that is followed. @param {KnowledgeDocument} one */
const folderOf = ({ attributes, place }) => (place ? place.replace(/[\\/][^\\/]*$/, "") : typeof attributes.path === "string" ? attributes.path : "");

/** @param {{one: KnowledgeDocument}} props */
function Standing({ one }) {
  const percent = Math.round(one.progress * 100);
  if (one.status === "completed") return html`<span class="status is-up" title=${t("documents.done")}><${Icon} name="check" /><span class="sr-only">${t("documents.done")}</span></span>`;
  if (one.status === "failed") return html`<span class="status is-down"><${Icon} name="warn" />${t("documents.isFailed")}</span>`;
  if (one.status === "cancelled") return html`<span class="status is-waiting"><${Icon} name="stop" />${t("documents.isCancelled")}</span>`;
  if (percent === 0) return html`<span class="status is-waiting">${t("documents.isWaiting")}</span>`;
  return html`<span class="status is-waiting"><span class="pulse" aria-hidden="true"></span>${percent < 10 ? t("documents.isReading") : t("documents.isEmbedding", { percent })}</span>`;
}
