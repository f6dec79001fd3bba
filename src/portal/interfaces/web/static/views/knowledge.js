// Knowledge: collections of documents, or one of them. Files dropped anywhere on it go into a collection.
import { html } from "htm/preact";
import * as library from "../api/knowledge.js";
import { knowledgeNews } from "../state.js";
import { sendFiles } from "../state/knowledge.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { useLoad, useTicks } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { CollectionPage } from "../knowledge/collection.js";
import { Collections } from "../knowledge/collections.js";

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  useSheet("knowledge");
  const ticks = useTicks(knowledgeNews);
  const { data, failed, reload } = useLoad(library.knowledge, [ticks]);
  const one = data?.collections.find((each) => each.id === route.id);
  if (route.id && one) return html`<${CollectionPage} key=${one.id} one=${one} places=${data?.sources.filter((each) => each.collection === one.id) ?? []} folders=${data?.folders ?? []} embedder=${data?.embedder ?? null} ticks=${ticks} onChange=${reload} query=${route.query.get("q") ?? ""} />`;
  return html`<${Bar} title=${t("knowledge.title")} />
    ${data && !route.id && html`<${Collections} data=${data} query=${route.query.get("q") ?? ""} onFiles=${sendFiles} onChange=${reload} />`}
    ${data && route.id && html`<${Notice} text=${t("knowledge.missing")}><a class="button" href="/knowledge">${t("knowledge.all")}</a><//>`}
    ${failed && !data && html`<${Notice} text=${t("settings.loadFailed")}><button type="button" class="button" onClick=${reload}>${t("common.retry")}</button><//>`}`;
}

/** @param {{text: string, children?: any}} props */
function Notice({ text, children }) {
  return html`<div class="page"><div class="page-inner"><div class="notice" role="alert"><${Icon} name="info" /><p class="grow">${text}</p>${children}</div></div></div>`;
}
