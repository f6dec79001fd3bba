// Choosing the collections of documents that the next question is asked of.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import * as library from "../api/knowledge.js";
import { chooseCollections, nextCollections } from "../state.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { closeOutside, place } from "../menu.js";
import { t } from "../strings.js";

/** @param {{anchor: {current: HTMLElement|null}, close: () => void, leave: () => void}} props */
export function CollectionPicker({ anchor, close, leave }) {
  const box = useRef(/** @type {HTMLDivElement|null} */ (null));
  const { data, failed } = useLoad(library.knowledge);
  const chosen = nextCollections();
  const all = data?.collections ?? [];
  useLayoutEffect(() => {
    if (!box.current || !anchor.current) return;
    box.current.showPopover();
    place(box.current, anchor.current);
    (box.current.querySelector("input") ?? box.current).focus();
  }, [data]);
  useEffect(() => closeOutside([box, anchor], leave), []);
  const choose = (/** @type {string} */ id, /** @type {boolean} */ on) =>
    chooseCollections([...chosen.filter((each) => each !== id && all.some((one) => one.id === each)), ...(on ? [id] : [])]);
  /** @param {KeyboardEvent} event */
  const keys = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    close();
  };
  return html`<div ref=${box} class="menu picker" popover="manual" role="dialog" tabindex="-1" aria-label=${t("collections.title")} onKeyDown=${keys}>
    ${failed && html`<p class="menu-note bad">${t("settings.loadFailed")}</p>`}
    ${data && !all.length && html`<p class="menu-note">${t("collections.none")}</p>`}
    ${all.length > 0 && html`<fieldset class="picker-list"><legend class="picker-group small muted">${t("collections.title")}</legend>
      ${all.map((one) => html`<label key=${one.id} class="radio picker-check"><input type="checkbox" checked=${chosen.includes(one.id)} onChange=${(/** @type {any} */ event) => choose(one.id, event.target.checked)} />
        <span class="grow clip" dir="auto">${one.name || t("knowledge.unnamed")}</span><span class="small muted">${t("knowledge.documents", { n: one.file_counts.total })}</span></label>`)}</fieldset>
      <p class="menu-note small muted">${t("collections.about")}</p>`}
    <hr /><a class="ghost picker-more" href="/knowledge" onClick=${leave}><${Icon} name="library" />${t("collections.open")}</a>
  </div>`;
}
