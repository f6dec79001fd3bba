// The card of a citation: which document, which page, and what it says there. It only repeats what the link opens.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import * as api from "../api.js";
import { glimpse, look } from "../knowledge/glimpse.js";
import { place } from "../menu.js";
import { t } from "../strings.js";

/** @param {{anchor: HTMLElement, one: import("../markdown/citations.js").Cited}} props */
export function Card({ anchor, one }) {
  const element = useRef(/** @type {HTMLDivElement|null} */ (null));
  const [text, setText] = useState(glimpse(one.passage));
  const [gone, setGone] = useState(false);
  useEffect(() => void (text === null && look(one.passage).then(setText, (error) => {
    if (!(error instanceof api.ApiError)) throw error;
    setGone(true);
  })), [one.passage]);
  useLayoutEffect(() => {
    const card = element.current;
    if (!card) return;
    card.showPopover();
    place(card, anchor);
  }, [text, gone]);
  return html`<div ref=${element} class="cite-card" popover="manual" aria-hidden="true">
    <p class="cite-title"><strong dir="auto">${one.title}</strong>${one.page !== null && html` <span class="muted">${t("reader.page", { n: one.page })}</span>`}</p>
    <p class="small" dir="auto">${gone ? t("reader.gone") : text ?? t("common.loading")}</p>
    ${one.attributed && html`<p class="small muted">${t("cite.attributed")}</p>`}
  </div>`;
}
