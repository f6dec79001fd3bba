// What can be done to the conversations that are ticked.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { openOverlay, pin, remove, selection, stopSelecting } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";

export function SelectionBar() {
  const ids = [...(selection.value ?? [])];
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]:not(.drawer), .menu")) return;
      event.preventDefault();
      stopSelecting();
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
  return html`<div class="rail-selection" role="toolbar" aria-label=${t("rail.selection")}>
    <p class="grow small" role="status">${t("rail.selected", { n: ids.length })}</p>
    <${Act} icon="pin" label=${t("rail.pin")} ids=${ids} run=${() => pin(ids, true)} />
    <${Act} icon="folder" label=${t("rail.move")} ids=${ids} run=${() => openOverlay({ kind: "move", ids })} />
    <${Act} icon="trash" label=${t("common.delete")} ids=${ids} run=${() => remove(ids)} />
    <button type="button" class="ghost icon-only" aria-label=${t("rail.selectEnd")} title=${t("rail.selectEnd")} onClick=${stopSelecting}><${Icon} name="close" /></button>
  </div>`;
}

/** @param {{icon: string, label: string, ids: string[], run: () => unknown}} props */
function Act({ icon, label, ids, run }) {
  return html`<button type="button" class="ghost icon-only" aria-label=${label} title=${label} disabled=${!ids.length} onClick=${run}>
    <${Icon} name=${icon} /></button>`;
}
