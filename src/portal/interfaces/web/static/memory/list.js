// Memories, newest first under the day or month in which they happened; ranked where they were searched for.
import { html } from "htm/preact";
import { groupByDay } from "../rail/groups.js";
import { locale } from "../strings.js";
import { MemoryRow } from "./row.js";

/** @typedef {import("../types.js").Memory} Memory */

/**
 * @param {{
 *   memories: Memory[], grouped: boolean, chosen: Set<string>, onChoose: (id: string, on: boolean) => void, onChanged: () => unknown,
 * }} props
 */
export function MemoryList({ memories, grouped, chosen, onChoose, onChanged }) {
  const rows = (/** @type {Memory[]} */ some) => html`<ul class="lines">${some.map((one) => html`<${MemoryRow} key=${one.id} one=${one} chosen=${chosen.has(one.id)} onChoose=${onChoose} onChanged=${onChanged} />`)}</ul>`;
  if (!grouped) return rows(memories);
  const dated = memories.map((one) => /** @type {any} */ ({ pinned: false, updated_at: one.happened_at ?? one.created_at }));
  const groups = groupByDay(dated, { now: new Date(), locale: locale(), words: { pinned: "" } });
  return groups.map(({ key, label, from, to }) => html`<section key=${key} aria-label=${label}><h2 class="memory-when">${label}</h2>${rows(memories.slice(from, to))}</section>`);
}
