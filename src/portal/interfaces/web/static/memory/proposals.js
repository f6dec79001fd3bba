// What a model proposes to remember; nothing of it is used before the person says yes.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import * as library from "../api/memory.js";
import { acceptMemory, rejectMemory } from "../state/memory.js";
import { Icon } from "../icons.js";
import { usePages } from "../load.js";
import { t } from "../strings.js";

/** @param {{ticks: number}} props */
export function Proposals({ ticks }) {
  const { data, next, more, reload, change } = usePages((page) => library.memories({ status: "proposed", ...page }), [], 20);
  useEffect(() => void (ticks && reload()), [ticks]);
  if (!data.length) return null;
  /** @param {import("../types.js").Memory} one @param {(one: import("../types.js").Memory) => Promise<boolean>} say */
  const settle = async (one, say) => {
    if (await say(one)) change((old) => old.filter((each) => each.id !== one.id));
  };
  return html`<section class="column" aria-labelledby="proposals"><div><h2 id="proposals">${t("memory.proposals")}</h2><p class="small muted">${t("memory.proposalsText")}</p></div>
    <ul class="lines">${data.map((one) => html`<li key=${one.id} class="line proposal"><p class="grow" dir="auto">${one.text}</p>
      <button type="button" class="button" aria-label=${t("memory.acceptOne", { text: one.text })} onClick=${() => settle(one, acceptMemory)}><${Icon} name="check" />${t("memory.accept")}</button>
      <button type="button" class="ghost" aria-label=${t("memory.rejectOne", { text: one.text })} onClick=${() => settle(one, rejectMemory)}>${t("memory.reject")}</button></li>`)}</ul>
    ${next && html`<p><button type="button" class="button" onClick=${more}>${t("memory.more")}</button></p>`}
  </section>`;
}
