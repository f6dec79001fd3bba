// One collection: searching it, what is in it, and where that comes from.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { renameCollection, sendFiles } from "../state/knowledge.js";
import { navigate } from "../router.js";
import { Bar } from "../layout.js";
import { number } from "../format.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { AddButtons, DropPlace } from "./adding.js";
import { CollectionMenu, DeleteCollection } from "./collections.js";
import { DocumentList } from "./documents.js";
import { EmbedderLine } from "./embedder.js";
import { NameDialog } from "./naming.js";
import { SearchArea } from "./search.js";
import { Sendings } from "./sendings.js";
import { Follow, Places } from "./places.js";

/** @param {{one: import("../types.js").Collection, places: import("../types.js").PlaceFollowed[], folders: string[], embedder: import("../types.js").Embedder|null, ticks: number, query: string, onChange: () => Promise<void>}} props */
export function CollectionPage({ one, places, folders, embedder, ticks, query, onChange }) {
  const [asked, setAsked] = useState(/** @type {"rename"|"delete"|"follow"|null} */ (null));
  const name = one.name || t("knowledge.unnamed");
  const here = `/knowledge/${encodeURIComponent(one.id)}`;
  const add = (/** @type {import("./dropped.js").Given[]} */ given) => sendFiles(one.id, given);
  const close = () => setAsked(null);
  return html`<${Bar} title=${name}>
      <a class="ghost" href="/knowledge"><${Icon} name="left" />${t("knowledge.title")}</a>
      <${CollectionMenu} one=${one} onRename=${() => setAsked("rename")} onDelete=${() => setAsked("delete")} />
    <//>
    <${DropPlace} label=${t("adding.dropInto", { name })} onFiles=${add}><div class="page"><div class="page-inner is-wide">
      <${SearchArea} query=${query} here=${here} collections=${[one.id]} empty=${one.file_counts.completed === 0}>
        ${embedder && embedder.waiting > 0 && html`<${EmbedderLine} embedder=${embedder} onChange=${onChange} />`}
        <${Places} places=${places} />
        <section class="column" aria-labelledby="documents">
          <div class="row wrap section-head"><h2 id="documents" class="grow">${t("documents.title")} ${one.file_counts.total > 0 && html`<span class="segment-count">${number(one.file_counts.total)}</span>`}</h2><${AddButtons} onFiles=${add} /><button type="button" class="button" onClick=${() => setAsked("follow")}><${Icon} name="external" />${t("places.add")}</button></div>
          <${Sendings} collection=${one.id} />
          <${DocumentList} collection=${one.id} counts=${one.file_counts} ticks=${ticks} />
        </section>
      <//>
    </div></div><//>
    ${asked === "follow" && html`<${Follow} collection=${one.id} folders=${folders} onClose=${close} />`}
    ${asked === "rename" && html`<${NameDialog} title=${t("knowledge.rename")} action=${t("common.save")} initial=${one.name} onName=${(/** @type {string} */ to) => renameCollection(one.id, to)} onClose=${close} />`}
    ${asked === "delete" && html`<${DeleteCollection} one=${one} onClose=${close} onGone=${() => navigate("/knowledge")} />`}`;
}
