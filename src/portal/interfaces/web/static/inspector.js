// The pane at the side: opens what the page only hints at. Each kind is a small component with a title.
import { html } from "htm/preact";
import { closeInspector } from "./state.js";
import { t } from "./strings.js";
import { Artefact } from "./inspectors/artefact.js";
import { PaneHead } from "./dialogs.js";
import { lazy } from "./lazy.js";
import { Raw } from "./inspectors/raw.js";
import { RouteDetails } from "./inspectors/route.js";
import { Source } from "./inspectors/source.js";

const File = lazy(async () => (await import("./files/pane.js")).FilePane);
const Waterfall = lazy(async () => (await import("./insight/waterfall.js")).Waterfall);
const Passage = lazy(async () => (await import("./inspectors/passage.js")).PassagePane);

/** @type {Record<string, {title: () => string, body: any}>} */
const KINDS = {
  artefact: { title: () => t("artefact.title"), body: Artefact },
  file: { title: () => t("files.title"), body: File },
  passage: { title: () => t("source.title"), body: Passage },
  raw: { title: () => t("raw.title"), body: Raw },
  route: { title: () => t("route.title"), body: RouteDetails },
  source: { title: () => t("source.title"), body: Source },
  trace: { title: () => t("route.time"), body: Waterfall },
};

/** @param {{content: {kind: string} & Record<string, any>}} props */
export function Inspector({ content }) {
  const { title, body } = KINDS[content.kind];
  /** @param {KeyboardEvent} event */
  const escape = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open], [role=menu]")) return;
    event.preventDefault();
    closeInspector();
  };
  return html`<aside class="inspector" aria-label=${t("inspector.label")} onKeyDown=${escape}>
    <${PaneHead} title=${title()} label=${t("inspector.close")} onClose=${closeInspector} />
    <div class="pane-body" tabindex="0"><${body} key=${content.kind + (content.id ?? "")} ...${content} /></div>
  </aside>`;
}
