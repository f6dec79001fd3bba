// All collections, and searching them at once.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { createCollection, removeCollection } from "../state/knowledge.js";
import { bytes } from "../format.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { t } from "../strings.js";
import { AddButtons, DropPlace } from "./adding.js";
import { EmbedderLine } from "./embedder.js";
import { NameDialog, WhereDialog } from "./naming.js";
import { SearchArea } from "./search.js";

/** @typedef {import("../types.js").Collection} Collection */
/** @typedef {import("./dropped.js").Given} Given */

/**
 * @param {{
 *   data: Awaited<ReturnType<typeof import("../api/knowledge.js").knowledge>>, query: string,
 *   onFiles: (collection: string, given: Given[]) => void, onChange: () => Promise<void>,
 * }} props
 */
export function Collections({ data, query, onFiles, onChange }) {
  const { collections, chats, embedder, sources } = data;
  const [naming, setNaming] = useState(false);
  const [waiting, setWaiting] = useState(/** @type {Given[]|null} */ (null));
  /** @param {Given[]} given */
  const came = async (given) => {
    if (collections.length) return setWaiting(given);
    const made = await createCollection(nameFor(given));
    if (made) onFiles(made.id, given);
  };
  const total = [...collections, ...chats].reduce((sum, each) => sum + each.file_counts.completed, 0);
  return html`<${DropPlace} label=${t(collections.length ? "adding.drop" : "adding.dropFirst")} onFiles=${came}><div class="page"><div class="page-inner is-wide">
    ${collections.length || chats.length
      ? html`<${SearchArea} query=${query} here="/knowledge" collections=${null} empty=${total === 0}>
          <section class="column" aria-labelledby="collections"><div class="row wrap section-head"><h2 id="collections" class="grow">${t("knowledge.collections")}</h2>
              <button type="button" class="button" onClick=${() => setNaming(true)}><${Icon} name="plus" />${t("knowledge.new")}</button></div>
            <ul class="lines">${collections.map((one) => html`<${Line} key=${one.id} one=${one} followed=${sources.filter((each) => each.collection === one.id).length} />`)}</ul>
            ${chats.length > 0 && html`<details><summary>${t("knowledge.ofChats", { n: chats.length })}</summary>
              <ul class="lines">${chats.map((one) => html`<${Line} key=${one.id} one=${one} followed=${0} />`)}</ul></details>`}
            <p class="small muted">${t("knowledge.dropHint")} <a href="/manual/knowledge">${t("approvals.more")}</a></p></section>
          <${EmbedderLine} embedder=${embedder} onChange=${onChange} />
        <//>`
      : html`<${Empty} onFiles=${came} onNew=${() => setNaming(true)} /><${EmbedderLine} embedder=${embedder} onChange=${onChange} />`}
    ${naming && html`<${NameDialog} title=${t("knowledge.new")} action=${t("knowledge.create")} initial="" onName=${createCollection} onClose=${() => setNaming(false)} />`}
    ${waiting && html`<${WhereDialog} collections=${collections} given=${waiting} initial=${nameFor(waiting)} onPick=${onFiles} onClose=${() => setWaiting(null)} />`}
  </div></div><//>`;
}

/** What a collection of these is called at first: the folder they came in. @param {Given[]} given */
const nameFor = (given) => given[0].path.split("/")[0] || t("knowledge.firstName");

/** @param {{onFiles: (given: Given[]) => void, onNew: () => void}} props */
function Empty({ onFiles, onNew }) {
  return html`<section class="knowledge-empty" aria-labelledby="knowledge-empty">
    <${Icon} name="library" /><h2 id="knowledge-empty">${t("knowledge.emptyTitle")}</h2>
    <p class="muted">${t("knowledge.emptyText")}</p>
    <div class="row wrap"><${AddButtons} onFiles=${onFiles} primary=${true} /><button type="button" class="ghost" onClick=${onNew}>${t("knowledge.emptyFirst")}</button></div>
    <p class="small muted">${t("knowledge.formats")} <a href="/manual/knowledge">${t("approvals.more")}</a></p>
  </section>`;
}

/** @param {{one: Collection, followed: number}} props */
function Line({ one, followed }) {
  const { in_progress, failed, total } = one.file_counts;
  const [asking, setAsking] = useState(false);
  const parts = [t("knowledge.documents", { n: total }), one.usage_bytes ? bytes(one.usage_bytes) : "", followed ? t("knowledge.follows", { n: followed }) : ""];
  return html`<li class="line">
    <a class="grow collection-link" href=${`/knowledge/${encodeURIComponent(one.id)}`}><strong dir="auto">${one.name || t("knowledge.unnamed")}</strong>
      <span class="small muted row wrap">${parts.filter(Boolean).join(" · ")}
        ${in_progress > 0 && html`<span class="status is-waiting"><span class="pulse" aria-hidden="true"></span>${t("knowledge.reading", { n: in_progress })}</span>`}
        ${failed > 0 && html`<span class="status is-down"><${Icon} name="warn" />${t("knowledge.failed", { n: failed })}</span>`}</span></a>
    <button type="button" class="ghost icon-only" aria-label=${t("knowledge.deleteOne", { name: one.name })} title=${t("knowledge.deleteOne", { name: one.name })} onClick=${() => setAsking(true)}><${Icon} name="trash" /></button>
    ${asking && html`<${DeleteCollection} one=${one} onClose=${() => setAsking(false)} />`}
  </li>`;
}

/** @param {{one: Collection, onClose: () => void, onGone?: () => void}} props */
export function DeleteCollection({ one, onClose, onGone }) {
  const gone = async () => {
    if (await removeCollection(one)) onGone?.();
  };
  return html`<${Confirm} title=${t("knowledge.deleteOne", { name: one.name })} text=${t("knowledge.deleteText", { n: one.file_counts.total })}
    action=${t("common.delete")} danger=${true} onYes=${gone} onClose=${onClose} />`;
}

/** What can be done with the collection on show. @param {{one: Collection, onRename: () => void, onDelete: () => void}} props */
export function CollectionMenu({ onRename, onDelete }) {
  return html`<${Menu} label=${t("common.more")} button=${html`<${Icon} name="more" />`} align="end">
    ${(/** @type {() => void} */ close) => html`
      <button type="button" role="menuitem" tabindex="-1" onClick=${() => { close(); onRename(); }}><${Icon} name="edit" />${t("knowledge.rename")}</button>
      <button type="button" role="menuitem" tabindex="-1" class="danger" onClick=${() => { close(); onDelete(); }}><${Icon} name="trash" />${t("knowledge.delete")}</button>`}
  <//>`;
}
