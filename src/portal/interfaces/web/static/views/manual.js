// The manual: contents and search at the side, one page of it in the middle.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { compact, FIRST_PAGE, findSections, guideModel, loadManual, manualContents, manualPage } from "../state.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { Article } from "../manual/article.js";
import { keepDraft } from "../chat/draft.js";

/** @typedef {import("../state/manual.js").ManualPage} ManualPage */

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  const id = route.id ?? FIRST_PAGE;
  const contents = useLoad(loadManual);
  const { data, failed } = useLoad(() => manualPage(id), [id]);
  const page = data?.id === id ? data : null;
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [id, route.hash]);
  const pages = manualContents.value ?? [];
  return html`<${Bar} title=${t("manual.title")}>
      ${compact.value && html`<button type="button" class="button" aria-expanded=${open ? "true" : "false"} aria-controls="manual-contents" onClick=${() => setOpen(!open)}>${t("manual.contents")}</button>`}
    <//>
    <div class="page manual">
      <div id="manual-contents" class="manual-side" hidden=${compact.value && !open}><${Contents} pages=${pages} current=${id} /></div>
      <div class="manual-main">
        ${(failed || contents.failed) && !page && html`<div class="notice"><${Icon} name="info" /><p class="grow">${failed?.status === 404 ? t("manual.missing") : t("manual.failed")}</p>
          <a class="button" href="/manual">${t("manual.contents")}</a></div>`}
        ${page && html`<${Article} key=${page.id} page=${page} hash=${route.hash} />`}
        ${page && html`<${Neighbours} pages=${pages} current=${id} />`}
      </div>
    </div>`;
}

/** @param {{pages: ManualPage[], current: string}} props */
function Contents({ pages, current }) {
  const [text, setText] = useState("");
  const found = text.trim() ? findSections(pages, text) : null;
  return html`<div class="rail-search" role="search" aria-label=${t("manual.find")}><${Icon} name="search" />
      <input class="input" type="search" autocomplete="off" aria-label=${t("manual.find")} placeholder=${t("manual.find")} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} /></div>
    <nav aria-label=${t("manual.contents")}>${found ? html`<${Found} found=${found} text=${text} />` : html`<ul class="plain manual-pages">
      ${pages.map((page) => html`<li key=${page.id}><a class="rail-place" href=${`/manual/${page.id}`} aria-current=${page.id === current ? "page" : undefined}>${page.title}</a>
        ${page.id === current && html`<ul class="plain manual-sections" aria-label=${t("manual.onPage")}>${page.sections.slice(1).map((section) => html`<li key=${section.id}>
          <a href=${`/manual/${page.id}#${section.id}`}>${section.title}</a></li>`)}</ul>`}</li>`)}
    </ul>`}</nav>`;
}

/** @param {{found: ReturnType<typeof findSections>, text: string}} props */
function Found({ found, text }) {
  if (found.length) {
    return html`<ul class="plain manual-found">${found.map(({ page, section }) => html`<li key=${page.id + section.id}>
      <a href=${`/manual/${page.id}#${section.id}`}><span>${section.title}</span><span class="small muted">${page.title}</span></a></li>`)}</ul>`;
  }
  const address = `/?model=${encodeURIComponent(guideModel.value)}`;
  return html`<p class="rail-note muted" role="status">${t("manual.none")}</p><p class="rail-note"><a class="button" href=${address} onClick=${() => keepDraft(null, text.trim())}>${t("manual.askGuide")}</a></p>`;
}

/** @param {{pages: ManualPage[], current: string}} props */
function Neighbours({ pages, current }) {
  const at = pages.findIndex((page) => page.id === current);
  const [before, after] = [pages[at - 1], pages[at + 1]];
  if (at < 0) return null;
  return html`<nav class="manual-turn row" aria-label=${t("manual.turn")}>
    ${before ? html`<a class="button" href=${`/manual/${before.id}`} rel="prev"><${Icon} name="left" /><span class="clip">${before.title}</span></a>` : html`<span></span>`}
    <span class="grow"></span>
    ${after && html`<a class="button" href=${`/manual/${after.id}`} rel="next"><span class="clip">${after.title}</span><${Icon} name="right" /></a>`}
  </nav>`;
}
