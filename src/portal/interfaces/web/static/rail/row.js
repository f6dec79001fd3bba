// One conversation in the list: its title, or a field to change it; a menu with all that can be done to it.
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { chat, me, openOverlay, pin, remove, rename, renaming, selection, startRenaming, startSelecting, toggleSelected } from "../state.js";
import { conversationPath } from "../router.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { cutAtHits } from "./groups.js";

/** @typedef {import("../types.js").Conversation} Conversation */

/** @param {{entry: Conversation, index: number, order: Conversation[], height: number, query: string, reachable: boolean}} props */
export function Row({ entry, index, order, height, query, reachable }) {
  const shown = entry.id === chat.value.id;
  const chosen = selection.value;
  const title = entry.title || t("rail.untitled");
  const content = html`<${Name} entry=${entry} title=${title} query=${query} />`;
  return html`<li class=${shown ? "rail-row is-shown" : "rail-row"} data-index=${index} style=${{ height: `${height}px` }}
    onContextMenu=${openMenu}>
    ${renaming.value === entry.id
      ? html`<${TitleField} entry=${entry} />`
      : chosen
        ? html`<label class="rail-item is-choice"><input type="checkbox" checked=${chosen.has(entry.id)} tabindex=${reachable ? 0 : -1}
            onClick=${(/** @type {MouseEvent} */ event) => toggleSelected(entry.id, { range: event.shiftKey, order })} />${content}</label>`
        : html`<a class="rail-item" href=${conversationPath(entry.id)} title=${title} tabindex=${reachable ? 0 : -1}
            aria-current=${shown ? "page" : undefined}>${content}</a>
          <${RowMenu} entry=${entry} title=${title} reachable=${reachable} />`}
  </li>`;
}

/** @param {{entry: Conversation, title: string, query: string}} props */
function Name({ entry, title, query }) {
  return html`<span class="rail-name grow">
      <span class="clip" dir="auto"><${Marked} text=${title} query=${query} /></span>
      ${query && entry.snippet && html`<span class="clip small muted" dir="auto"><${Marked} text=${entry.snippet} query=${query} /></span>`}
    </span>
    ${entry.door && html`<span class="small muted" title=${t("rail.door", { name: entry.door })}>${entry.door}</span>`}
    ${entry.running && html`<span class="rail-running"><span class="sr-only">${t("rail.running")}</span></span>`}`;
}

/** @param {{text: string, query: string}} props */
function Marked({ text, query }) {
  if (!query) return text;
  return cutAtHits(text, query).map((part) => (part.hit ? html`<mark>${part.text}</mark>` : part.text));
}

/** @param {{entry: Conversation, title: string, reachable: boolean}} props */
function RowMenu({ entry, title, reachable }) {
  return html`<${Menu} label=${t("rail.actions", { title })} button=${html`<${Icon} name="more" />`} align="end"
    class=${reachable ? "ghost icon-only rail-more" : "ghost icon-only rail-more is-passed"}>
    ${(/** @type {() => void} */ close) => {
      const then = (/** @type {() => unknown} */ work) => () => {
        close();
        work();
      };
      return html`
        <button type="button" role="menuitem" onClick=${then(() => startRenaming(entry.id))}><${Icon} name="edit" />${t("rail.rename")}</button>
        <button type="button" role="menuitem" onClick=${then(() => pin([entry.id], !entry.pinned))}>
          <${Icon} name="pin" />${entry.pinned ? t("rail.unpin") : t("rail.pin")}</button>
        <button type="button" role="menuitem" onClick=${then(() => openOverlay({ kind: "move", ids: [entry.id] }))}>
          <${Icon} name="folder" />${t("rail.move")}</button>
        ${Boolean(me.value?.channels?.length) && html`<button type="button" role="menuitem" onClick=${then(() => openOverlay({ kind: "continue", id: entry.id }))}>
          <${Icon} name="send" />${t("rail.continue")}</button>`}
        <button type="button" role="menuitem" onClick=${then(() => openOverlay({ kind: "export", id: entry.id }))}><${Icon} name="download" />${t("rail.export")}</button>
        <button type="button" role="menuitem" onClick=${then(() => startSelecting([entry.id]))}><${Icon} name="check" />${t("rail.select")}</button>
        <hr />
        <button type="button" role="menuitem" class="danger" onClick=${then(() => remove([entry.id]))}><${Icon} name="trash" />${t("common.delete")}</button>`;
    }}
  <//>`;
}

/** The context menu by mouse, long press or the menu key is the row's own menu. @param {MouseEvent} event */
function openMenu(event) {
  const button = /** @type {Element} */ (event.currentTarget).querySelector('[aria-haspopup="menu"][aria-expanded="false"]');
  if (!(button instanceof HTMLElement)) return;
  event.preventDefault();
  button.click();
}

/** Enter keeps the new title, Esc the old one. @param {{entry: Conversation}} props */
function TitleField({ entry }) {
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  const settled = useRef(false);
  useLayoutEffect(() => field.current?.select(), []);
  /** @param {boolean} keep */
  const settle = (keep) => {
    if (settled.current) return;
    settled.current = true;
    const row = field.current?.closest("li");
    const focused = document.activeElement === field.current;
    if (keep) rename(entry.id, field.current?.value ?? "");
    else startRenaming(null);
    if (focused) requestAnimationFrame(() => /** @type {HTMLElement|null|undefined} */ (row?.querySelector(".rail-item"))?.focus());
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    settle(event.key === "Enter");
  };
  return html`<input ref=${field} class="input rail-title" dir="auto" maxlength="300" aria-label=${t("rail.titleField")}
    value=${entry.title} onKeyDown=${key} onBlur=${() => settle(true)} />`;
}
