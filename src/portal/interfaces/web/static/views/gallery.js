// The gallery: every picture, video and piece of music that was made, with its words and settings.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api/media.js";
import { Icon } from "../icons.js";
import { Bar } from "../layout.js";
import { useLoad, usePages } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { One } from "../media/one.js";
import { Tiles } from "../media/tiles.js";

/** @type {(""|"image"|"video"|"music")[]} */
const KINDS = ["", "image", "video", "music"];

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  useSheet("media");
  return route.id ? html`<${One} key=${route.id} id=${route.id} />` : html`<${All} />`;
}

function All() {
  const [kind, setKind] = useState(KINDS[0]);
  const scroller = useRef(/** @type {HTMLElement|null} */ (null));
  const { data, next, loaded, failed, more } = usePages((page) => api.mediaJobs({ ...page, kind: kind || null }), [kind], 60);
  return html`<${Bar} title=${t("media.title")} />
    <div class="page" ref=${scroller}><div class="page-inner is-wide">
      <p class="muted">${t("media.about")} <a href="/manual/pictures-video-music">${t("approvals.more")}</a></p>
      <fieldset class="row wrap media-kinds"><legend class="sr-only">${t("media.show")}</legend>
        ${KINDS.map((each) => html`<label key=${each} class="check"><input type="radio" name="media-kind" checked=${kind === each} onChange=${() => setKind(each)} />${t(each ? `media.kinds.${each}` : "media.kinds.all")}</label>`)}</fieldset>
      ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
      ${loaded && !failed && !data.length && html`<${Empty} />`}
      ${data.length > 0 && html`<${Tiles} key=${kind} jobs=${data} more=${Boolean(next)} onEnd=${more} scroller=${scroller} />`}
    </div></div>`;
}

/** What to do where nothing was made yet: begin, or install what it takes. */
function Empty() {
  const { data } = useLoad(() => api.mediaWorkflows("image"), []);
  const ready = data?.data.some((each) => each.ready);
  const needs = data?.data[0]?.needs;
  return html`<section class="column"><p>${t("media.none")}</p>
    ${data && (ready ? html`<p><a class="button" href="/?model=auto-image"><${Icon} name="plus" />${t("media.begin")}</a></p>`
      : html`<p class="notice"><${Icon} name="info" /><span class="grow">${t("media.notReady")} ${needs}</span></p>`)}</section>`;
}
