// The left rail: new conversation, search, folders, the conversations by day, and the ways to the other views.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import {
  compact, conversations, conversationsLoaded, conversationsNext, found, foundNext, loadMoreConversations, moreFound, openDrawer,
  openOverlay, pendingApprovals, query, route, runsPortal, search, searchState, selection, setRailOpen, startSelecting, stopSelecting,
} from "../state.js";
import { locale, t } from "../strings.js";
import { Icon } from "../icons.js";
import { FolderList } from "../rail/folders.js";
import { groupByDay } from "../rail/groups.js";
import { List } from "../rail/list.js";
import { SelectionBar } from "../rail/selection.js";
import { focusSearch } from "../shortcuts.js";

/** @param {{open: boolean}} props */
export function Rail({ open }) {
  return open ? html`<${Wide} />` : html`<${Narrow} />`;
}

function Wide() {
  const hide = () => (compact.value ? openDrawer(false) : setRailOpen(false));
  return html`<nav class="rail" aria-label=${t("rail.label")}>
    <div class="rail-head row">
      <a class="brand row grow" href="/"><${Icon} name="portal" /> ${t("app.name")}</a>
      <button type="button" class="ghost icon-only" aria-label=${t("rail.close")} onClick=${hide}>
        <${Icon} name=${compact.value ? "close" : "panel"} />
      </button>
    </div>
    <div class="rail-new"><a class="button" href="/"><${Icon} name="plus" /><span>${t("rail.new")}</span></a></div>
    <${SearchField} />
    <${Body} />
    ${selection.value ? html`<${SelectionBar} />` : html`<div class="rail-foot"><${Folders} /></div>`}
  </nav>`;
}

/** Icons only. */
function Narrow() {
  const wide = () => setRailOpen(true);
  return html`<nav class="rail is-narrow" aria-label=${t("rail.label")}>
    <button type="button" class="ghost icon-only" aria-label=${t("rail.open")} title=${t("rail.open")} onClick=${wide}><${Icon} name="panel" /></button>
    <a class="button icon-only" href="/" aria-label=${t("rail.new")} title=${t("rail.new")}><${Icon} name="plus" /></a>
    <button type="button" class="ghost icon-only" aria-label=${t("rail.search")} title=${t("rail.search")} onClick=${focusSearch}><${Icon} name="search" /></button>
    <span class="grow"></span>
    <${Folders} icons=${true} />
  </nav>`;
}

/** @param {{icons?: boolean}} props */
function Folders({ icons = false }) {
  /** @type {[string, string, string, string][]} */
  const places = [
    ["/workspaces", "workspaces", "workspace", t("workspaces.short")],
    ["/knowledge", "knowledge", "library", t("knowledge.title")],
    ["/memory", "memory", "memory", t("memory.title")],
    ["/models", "models", "model", t("models.title")],
    ["/approvals", "approvals", "shield", t("approvals.title")],
    ["/schedules", "schedules", "clock", t("schedules.title")],
    ["/gallery", "gallery", "image", t("media.title")],
    ["/tools", "tools", "tool", t("tools.short")],
    ["/manual", "manual", "book", t("manual.title")],
    ...(runsPortal.value ? [/** @type {[string, string, string, string]} */ (["/activity", "activity", "chart", t("insight.title")])] : []),
    ["/settings", "settings", "settings", t("common.settings")],
  ];
  return places.map(([address, name, icon, label]) => html`<a key=${name} href=${address}
    class=${icons ? "ghost icon-only" : "rail-place"} aria-label=${icons ? label : undefined} title=${icons ? label : undefined}
    aria-current=${route.value.name === name ? "page" : undefined}><${Icon} name=${icon} />${!icons && html`<span>${label}</span>`}
    ${name === "approvals" && html`<${Badge} />`}</a>`);
}

/** How many questions wait. */
function Badge() {
  const n = pendingApprovals.value.length;
  return n > 0 && html`<b class="badge"><span aria-hidden="true">${n}</span><span class="sr-only">${t("approvals.waiting", { n })}</span></b>`;
}

function SearchField() {
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.key === "Escape" && query.value) {
      event.preventDefault();
      event.stopPropagation();
      search("");
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      /** @type {HTMLElement|null|undefined} */ (document.querySelector(".rail-list .rail-item"))?.focus();
    }
  };
  return html`<div class="rail-search" role="search" aria-label=${t("rail.search")}>
    <${Icon} name="search" />
    <input id="rail-search" class="input" type="search" dir="auto" placeholder=${t("rail.searchShort")} aria-label=${t("rail.search")}
      autocomplete="off" value=${query.value} onKeyDown=${key}
      onInput=${(/** @type {InputEvent} */ event) => search(/** @type {HTMLInputElement} */ (event.target).value)} />
    ${query.value && html`<button type="button" class="ghost icon-only" aria-label=${t("rail.searchClear")} onClick=${() => search("")}>
      <${Icon} name="close" /></button>`}
  </div>`;
}

function Body() {
  const scroller = useRef(/** @type {HTMLDivElement|null} */ (null));
  return html`<div ref=${scroller} class="rail-scroll" tabindex="-1">
    ${query.value.trim() ? html`<${Results} scroller=${scroller} />` : html`<${FolderList} /><${Browse} scroller=${scroller} />`}
  </div>`;
}

/** @param {{scroller: {current: HTMLElement|null}}} props */
function Browse({ scroller }) {
  const now = useToday();
  const entries = conversations.value;
  if (!conversationsLoaded.value) return html`<p class="rail-note muted small">${t("common.loading")}</p>`;
  if (!entries.length) return html`<p class="rail-note muted small">${t("rail.empty")}</p>`;
  const groups = groupByDay(entries, { now, locale: locale(), words: { pinned: t("rail.pinned") } });
  const choosing = selection.value !== null;
  return html`<div class="rail-section row">
      <h2 class="grow">${t("rail.label")}</h2>
      <button type="button" class="ghost small" aria-pressed=${choosing ? "true" : "false"} onClick=${() => (choosing ? stopSelecting() : startSelecting())}>
        ${t("rail.select")}</button>
    </div>
    <${List} entries=${entries} groups=${groups} more=${conversationsNext.value !== null} onEnd=${loadMoreConversations}
      scroller=${scroller} label=${t("rail.label")} />
    ${conversationsNext.value && html`<p class="rail-note muted small">${t("common.loading")}</p>`}`;
}

/** @param {{scroller: {current: HTMLElement|null}}} props */
function Results({ scroller }) {
  const entries = found.value;
  const state = searchState.value;
  const words = state === "failed" ? t("rail.searchFailed") : state === "done" ? t("rail.found", { n: entries.length }) : t("rail.searching");
  const more = state === "done" && foundNext.value ? t("rail.foundMore", { n: entries.length }) : words;
  return html`<p class="rail-note muted small" role="status">${more}</p>
    ${entries.length > 0 && html`<${List} entries=${entries} groups=${[{ key: "found", label: "", from: 0, to: entries.length }]}
      more=${foundNext.value !== null} onEnd=${moreFound} scroller=${scroller} query=${query.value} label=${t("rail.results")} />`}
    ${state === "done" && !entries.length && html`<p class="rail-note"><button type="button" class="button" onClick=${() => openOverlay({ kind: "palette" })}>
      ${t("rail.searchActions")}</button></p>`}`;
}

/** The current day; renewed at midnight, so that "Today" stays true in a tab that is left open. */
function useToday() {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
    const timer = setTimeout(() => setNow(new Date()), midnight.getTime() - now.getTime() + 500);
    return () => clearTimeout(timer);
  }, [now]);
  return now;
}
