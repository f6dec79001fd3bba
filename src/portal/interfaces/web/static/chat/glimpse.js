// What a passage says, in a few lines.
import { html } from "htm/preact";
import { glimpse, look } from "../knowledge/glimpse.js";
import { useLoad } from "../load.js";
import { t } from "../strings.js";

/** @param {{id: string}} props */
export function Glimpse({ id }) {
  const { data, failed } = useLoad(async () => glimpse(id) ?? (await look(id)), [id]);
  return html`<p class="small found-text" dir="auto">${failed ? t("reader.gone") : data ?? t("common.loading")}</p>`;
}
