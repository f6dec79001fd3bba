// One document to read, at the passage its address names. Esc goes back.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { fileContent } from "../api.js";
import { navigate } from "../router.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { Reader } from "../knowledge/reader.js";

/** @param {{route: import("../types.js").Route}} props */
export function View({ route }) {
  const file = route.id ?? "";
  const [document, setDocument] = useState(/** @type {import("../types.js").KnowledgeDocument|null} */ (null));
  useEffect(() => setDocument(null), [file]);
  const home = document ? `/knowledge/${encodeURIComponent(document.collection)}` : "/knowledge";
  useEffect(() => leaveOnEscape(home), [home]);
  return html`<${Bar} title=${document?.filename ?? t("reader.title")}>
      <button type="button" class="ghost" onClick=${() => leave(home)}><${Icon} name="left" />${t("reader.back")}</button>
      ${document && html`<a class="ghost icon-only" href=${fileContent(file)} download=${document.filename} aria-label=${t("documents.download")} title=${t("documents.download")}><${Icon} name="download" /></a>`}
    <//>
    <div class="page"><div class="page-inner">
      <${Reader} key=${file} file=${file} collection=${route.query.get("collection")} passage=${route.hash ? decodeURIComponent(route.hash) : null} onDocument=${setDocument} />
    </div></div>`;
}

/** Back to where one came from; to the collection for who came by a link. @param {string} home */
function leave(home) {
  if (history.state?.within) history.back();
  else navigate(home);
}

/** @param {string} home */
function leaveOnEscape(home) {
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || event.defaultPrevented || window.document.querySelector("dialog[open], [role=menu]")) return;
    event.preventDefault();
    leave(home);
  };
  addEventListener("keydown", pressed);
  return () => removeEventListener("keydown", pressed);
}
