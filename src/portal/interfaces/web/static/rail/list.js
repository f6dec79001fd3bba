// A long list of conversations: only the rows near the screen exist, arrow keys move through all of them.
import { html } from "htm/preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { chat, remove, rowHeight, selection, startRenaming, startSelecting, toggleSelected } from "../state.js";
import { near, placeGroups, topOf, useView } from "./window.js";
import { Row } from "./row.js";

/** @typedef {import("../types.js").Conversation} Conversation */

const AHEAD = 40;

/**
 * @param {{
 *   entries: Conversation[], groups: import("./groups.js").Group[], more: boolean, onEnd: () => void,
 *   scroller: {current: HTMLElement|null}, query?: string, label: string,
 * }} props  `query` marks hits and makes room for the passage that matched
 */
export function List({ entries, groups, more, onEnd, scroller, query = "", label }) {
  const list = useRef(/** @type {HTMLDivElement|null} */ (null));
  const { view, measure } = useView(scroller, list);
  const heights = { row: rowHeight.value * (query ? 1.5 : 1), head: groups[0]?.label ? rowHeight.value : 0 };
  const { placed, height } = placeGroups(groups, heights);
  const { active, steer, noteFocus } = useArrows({ entries, list, scroller, measure, placeOf: (index) => [topOf(placed, index, heights), heights] });
  const shown = placed.map((group) => ({ group, rows: near(group, view, heights) })).filter(({ rows }) => rows);
  const lastShown = shown.at(-1)?.rows?.last ?? 0;
  useLayoutEffect(() => {
    if (more && lastShown > entries.length - AHEAD) onEnd();
  });
  const current = entries[active] ? active : 0;
  return html`<div ref=${list} class="rail-list" role="group" aria-label=${label} style=${{ height: `${height}px` }}
    onKeyDown=${steer} onFocusIn=${noteFocus}>
    ${shown.map(({ group, rows }) => html`<section key=${group.key} style=${{ top: `${group.top}px`, height: `${group.height}px` }}>
      ${group.label && html`<h3 class="rail-heading" style=${{ height: `${heights.head}px` }}>${group.label}</h3>`}
      <ul style=${{ paddingTop: `${rows?.before}px` }}>
        ${rows && entries.slice(rows.first, rows.last).map((entry, offset) => html`<${Row}
          key=${entry.id} entry=${entry} index=${rows.first + offset} order=${entries} height=${heights.row} query=${query}
          reachable=${rows.first + offset === current || entry.id === chat.value.id} />`)}
      </ul>
    </section>`)}
  </div>`;
}

/**
 * Arrow keys over rows of which most do not exist: scroll first, then focus what appeared.
 * @param {{
 *   entries: Conversation[], list: {current: HTMLElement|null}, scroller: {current: HTMLElement|null},
 *   measure: () => void, placeOf: (index: number) => [number, {row: number, head: number}],
 * }} what
 */
function useArrows({ entries, list, scroller, measure, placeOf }) {
  const active = useRef(0);
  const wanted = useRef(/** @type {number|null} */ (null));
  const inside = useRef(false);
  useLayoutEffect(() => {
    if (wanted.current !== null) {
      const target = list.current?.querySelector(`[data-index="${wanted.current}"] .rail-item`);
      if (target instanceof HTMLElement) {
        target.focus({ preventScroll: true });
        wanted.current = null;
      }
    } else if (inside.current && document.activeElement === document.body) scroller.current?.focus({ preventScroll: true });
  });
  /** @param {number} index */
  const go = (index) => {
    const [top, { row, head }] = placeOf(index);
    if (!scroller.current || !list.current) return;
    const at = top + list.current.offsetTop;
    const box = scroller.current;
    if (at - head < box.scrollTop) box.scrollTop = at - head;
    else if (at + row > box.scrollTop + box.clientHeight) box.scrollTop = at + row - box.clientHeight;
    active.current = wanted.current = index;
    const there = list.current.querySelector(`[data-index="${index}"] .rail-item`);
    if (there instanceof HTMLElement) there.focus({ preventScroll: true });
    measure();
  };
  /** @param {KeyboardEvent} event */
  const steer = (event) => {
    const on = /** @type {Element} */ (event.target).closest?.(".rail-item");
    if (!on) return;
    const at = Number(on.closest("[data-index]")?.getAttribute("data-index"));
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / placeOf(at)[1].row) - 1);
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: entries.length - 1 };
    if (event.key in moves) {
      const to = Math.max(0, Math.min(entries.length - 1, moves[event.key]));
      if (event.shiftKey) toggleSelected(entries[to].id, { range: selection.value !== null, order: entries });
      go(to);
    } else if (!act(event, entries[at], entries)) return;
    event.preventDefault();
  };
  /** @param {FocusEvent} event */
  const noteFocus = (event) => {
    inside.current = true;
    const row = /** @type {Element} */ (event.target).closest?.("[data-index]");
    if (row) active.current = Number(row.getAttribute("data-index"));
    list.current?.addEventListener("focusout", (left) => (inside.current = left.relatedTarget === null), { once: true });
  };
  return { active: active.current, steer, noteFocus };
}

/** What other keys do to the row they are pressed on. @param {KeyboardEvent} event @param {Conversation} entry @param {Conversation[]} order */
function act(event, entry, order) {
  if (event.key === "F2") startRenaming(entry.id);
  else if (event.key === "Delete") remove(selection.value?.size ? [...selection.value] : [entry.id]);
  else if (event.key === " ") selection.value ? toggleSelected(entry.id, { range: event.shiftKey, order }) : startSelecting([entry.id]);
  else return false;
  return true;
}
