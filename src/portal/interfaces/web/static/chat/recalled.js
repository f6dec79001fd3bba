// What an answer was told from memory, or what it kept there: one quiet line, each memory in place when opened.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { lazy } from "../lazy.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

const Memories = lazy(async () => (await import("../memory/used.js")).UsedMemories);

/** @param {{item: import("../types.js").Item}} props */
export function Recalled({ item }) {
  const [open, setOpen] = useState(false);
  const { memories = [], turns = [], saved = [], forgotten = [] } = item;
  const told = [
    memories.length && t("recalled.used", { n: memories.length }),
    turns.length && t("recalled.turns", { n: turns.length }),
    saved.length && t("recalled.saved"),
    forgotten.length && t("recalled.forgotten", { n: forgotten.length }),
  ].filter(Boolean).join(" · ");
  if (!told) return null;
  if (!memories.length && !turns.length && !saved.length) return html`<p class="decided"><${Icon} name="memory" /><span>${told}</span></p>`;
  return html`<details class="fold" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary><${Icon} name="memory" /><span>${told}</span><${Icon} name="chevron" /></summary>
    <div class="fold-body">${open && html`<${Memories} ids=${[...saved, ...memories.map((/** @type {{id: string}} */ { id }) => id)]} turns=${turns} />`}</div>
  </details>`;
}
