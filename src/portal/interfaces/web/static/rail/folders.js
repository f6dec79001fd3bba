// The folders in the rail, and the button that makes one.
import { html } from "htm/preact";
import { folders, openOverlay, route } from "../state.js";
import { t } from "../strings.js";
import { Icon } from "../icons.js";

export function FolderList() {
  return html`<section class="rail-folders">
    <div class="rail-section row">
      <h2 class="grow">${t("rail.folders")}</h2>
      <button type="button" class="ghost icon-only" aria-label=${t("folder.new")} title=${t("folder.new")}
        onClick=${() => openOverlay({ kind: "newFolder" })}><${Icon} name="plus" /></button>
    </div>
    <ul>${folders.value.map((folder) => html`<li key=${folder.id}>
      <a class="rail-place" href=${`/folders/${encodeURIComponent(folder.id)}`}
        aria-current=${route.value.name === "folder" && route.value.id === folder.id ? "page" : undefined}>
        <${Icon} name="folder" /><span class="clip" dir="auto">${folder.name}</span></a>
    </li>`)}</ul>
  </section>`;
}
