// Bringing in what another program keeps: drop its export, see what is in it, say yes, and see that all of it came.
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api/exchange.js";
import { ApiError } from "../api.js";
import { attempt, importNews } from "../state.js";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { useLoad, useTicks } from "../load.js";
import { useSheet } from "../sheets.js";
import { Imported } from "./imported.js";

export function Importing() {
  useSheet("exchange");
  const { data, failed, reload } = useLoad(api.imports, [useTicks(importNews, 400)]);
  return html`<section class="column" aria-labelledby="import-title"><h3 id="import-title">${t("exchange.import")}</h3>
    <p class="muted">${t("exchange.importAbout")} <a href="/manual/moving-in">${t("exchange.importHow")}</a></p>
    <${Place} onSent=${reload} />
    ${failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${Boolean(data?.data.length) && html`<ul class="plain column imports" aria-label=${t("exchange.imports")}>${data?.data.map((one) => html`<${Imported} key=${one.id} one=${one} onDone=${reload} />`)}</ul>`}
  </section>`;
}

/** Where a file is dropped or chosen. @param {{onSent: () => unknown}} props */
function Place({ onSent }) {
  const [over, setOver] = useState(false);
  const [sending, setSending] = useState(/** @type {{name: string, stop: AbortController}|null} */ (null));
  const input = useRef(/** @type {HTMLInputElement|null} */ (null));
  /** @param {File|undefined} file */
  const send = (file) => file && attempt(async () => {
    const stop = new AbortController();
    setSending({ name: file.name, stop });
    try {
      await api.bringIn(file, stop.signal);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) throw error instanceof ApiError ? error : new ApiError({ status: 0, message: String(error), code: "unreachable" });
    } finally {
      setSending(null);
      onSent();
    }
  });
  const chosen = () => {
    send(input.current?.files?.[0]);
    if (input.current) input.current.value = "";
  };
  const dropped = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(false);
    send(event.dataTransfer?.files[0]);
  };
  const onOver = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(true);
  };
  if (sending) return html`<div class="import-place" role="status"><p class="clip" dir="auto">${t("exchange.sending", { name: sending.name })}</p>
    <progress aria-label=${t("exchange.sending", { name: sending.name })}></progress>
    <button type="button" class="button" onClick=${() => sending.stop.abort()}>${t("common.cancel")}</button></div>`;
  return html`<div class=${over ? "import-place is-over" : "import-place"} onDragOver=${onOver} onDragLeave=${() => setOver(false)} onDrop=${dropped}>
    <p>${t("exchange.drop")}</p>
    <button type="button" class="button primary" onClick=${() => input.current?.click()}><${Icon} name="attach" />${t("exchange.choose")}</button>
    <input ref=${input} type="file" accept=".zip,.json,.jsonl,.db" hidden aria-label=${t("exchange.choose")} onChange=${chosen} />
  </div>`;
}
