// Memory: what is remembered about the person; searched, corrected, put together, forgotten.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import * as library from "../api/memory.js";
import { memoryNews } from "../state.js";
import { forgetSeveral } from "../state/memory.js";
import { Bar } from "../layout.js";
import { Confirm } from "../dialogs.js";
import { Icon } from "../icons.js";
import { useLoad, usePages, useTicks } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { MemoryList } from "../memory/list.js";
import { MergeDialog } from "../memory/merge.js";
import { MemoryMenu } from "../memory/moving.js";
import { NewMemory } from "../memory/new.js";
import { Proposals } from "../memory/proposals.js";
import { Off, Switches } from "../memory/switches.js";

/** @typedef {import("../types.js").Memory} Memory */

const PAUSE = 250; // milliseconds after the last key
/** @type {["" | Memory["kind"], "memory.all"|"memory.facts"|"memory.preferences"|"memory.episodes"][]} */
const KINDS = [["", "memory.all"], ["fact", "memory.facts"], ["preference", "memory.preferences"], ["episode", "memory.episodes"]];

export function View() {
  useSheet("knowledge");
  const ticks = useTicks(memoryNews);
  const switches = useLoad(library.memorySwitches, [ticks]);
  const [kind, setKind] = useState("");
  const { text, setText, query } = useQuery();
  const found = usePages((page) => library.memories({ q: query, kind: kind || null, ...page }), [query, kind], 50);
  useEffect(() => void (ticks && found.reload()), [ticks]);
  const { chosen, setChosen, choose } = useChosen(found.data);
  const [asked, setAsked] = useState(/** @type {"merge"|"forget"|null} */ (null));
  const off = switches.data?.enabled === false;
  const some = found.data.filter((one) => chosen.has(one.id));
  const done = () => setChosen(new Set());
  return html`<${Bar} title=${t("memory.title")}><${MemoryMenu} /><//>
    <div class="page"><div class="page-inner">
      <p class="muted">${t("memory.about")} <a href="/manual/memory">${t("approvals.more")}</a></p>
      ${off && html`<${Off} onChange=${switches.reload} />`}
      <${Proposals} ticks=${ticks} />
      ${!off && html`<${NewMemory} />`}
      <section class="column" aria-label=${t("memory.list")}>
        <div class="rail-search is-wide" role="search" aria-label=${t("memory.search")}><${Icon} name="search" />
          <input class="input" type="search" dir="auto" autocomplete="off" maxlength="8000" aria-label=${t("memory.search")} placeholder=${t("memory.search")} value=${text}
            onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></div>
        <div class="row wrap"><fieldset class="segments grow"><legend class="sr-only">${t("memory.kind")}</legend><div>${KINDS.map(([value, label]) => html`<label key=${value} class="segment">
          <input type="radio" name="memory-kind" value=${value} checked=${kind === value} onChange=${() => setKind(value)} /><span>${t(label)}</span></label>`)}</div></fieldset></div>
        ${found.failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
        ${found.loaded && !found.failed && !found.data.length && html`<p class="muted">${t(query || kind ? "memory.noneSuch" : "memory.none")}</p>`}
        ${some.length > 0 && html`<div class="notice chosen-bar" role="status"><span class="grow">${t("memory.chosen", { n: some.length })}</span>
          <button type="button" class="button" disabled=${some.length < 2} onClick=${() => setAsked("merge")}>${t("memory.merge")}</button>
          <button type="button" class="button danger" onClick=${() => setAsked("forget")}>${t("memory.forget")}</button>
          <button type="button" class="ghost" onClick=${done}>${t("common.cancel")}</button></div>`}
        <${MemoryList} memories=${found.data} grouped=${!query} chosen=${chosen} onChoose=${choose} onChanged=${found.reload} />
        ${found.next && html`<p><button type="button" class="button" onClick=${found.more}>${t("memory.more")}</button></p>`}
      </section>
      ${switches.data && html`<${Switches} switches=${switches.data} onChange=${switches.reload} />`}
    </div></div>
    ${asked === "merge" && html`<${MergeDialog} memories=${some} onDone=${done} onClose=${() => setAsked(null)} />`}
    ${asked === "forget" && html`<${Confirm} title=${t("memory.forgetSome", { n: some.length })} text=${t("memory.forgetText")} action=${t("memory.forget")} danger=${true}
      onYes=${async () => { if (await forgetSeveral(some.map(({ id }) => id))) done(); }} onClose=${() => setAsked(null)} />`}`;
}

/** What is typed, and a moment later what is searched for. */
function useQuery() {
  const [text, setText] = useState("");
  const [query, setQuery] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setQuery(text.trim()), text.trim() ? PAUSE : 0);
    return () => clearTimeout(timer);
  }, [text]);
  return { text, setText, query };
}

/** Which are chosen; those that are gone are not. @param {Memory[]} shown */
function useChosen(shown) {
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  useEffect(() => setChosen((old) => new Set(shown.filter(({ id }) => old.has(id)).map(({ id }) => id))), [shown]);
  const choose = (/** @type {string} */ id, /** @type {boolean} */ on) => setChosen((old) => new Set(on ? [...old, id] : [...old].filter((each) => each !== id)));
  return { chosen, setChosen, choose };
}
