// A question of the model's own: choices to click, or a text or number to write.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Icon } from "../icons.js";
import { t } from "../strings.js";

/** @param {{id: string, approval: import("../types.js").Approval, busy: boolean, say: (verdict: import("../types.js").Verdict) => void}} props */
export function Answering({ id, approval, busy, say }) {
  const { question, choices, kind } = approval.arguments;
  const [answer, setAnswer] = useState("");
  const offered = Array.isArray(choices) ? choices.map(String) : [];
  const give = (/** @type {string} */ text) => say({ approve: true, answer: text });
  const ready = answer.trim() !== "" && (kind !== "number" || Number.isFinite(Number(answer.replace(",", "."))));
  const typed = (/** @type {any} */ event) => setAnswer(event.target.value);
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !ready || busy) return;
    event.preventDefault();
    give(answer.trim());
  };
  return html`<h2 id=${id} class="row approval-head"><${Icon} name="ask" /><span class="grow" dir="auto">${question || t("approval.asksYou")}</span></h2>
    ${offered.length > 0 && html`<div class="row wrap">${offered.map((each) => html`<button key=${each} type="button" class="button approval-choice" dir="auto" disabled=${busy} onClick=${() => give(each)}>${each}</button>`)}</div>`}
    <div class="row wrap">
      ${kind === "number" && !offered.length
        ? html`<input class="input approval-reason" inputmode="decimal" aria-label=${t("approval.answer")} value=${answer} onInput=${typed} onKeyDown=${key} />`
        : html`<textarea class="input approval-reason" rows="1" dir="auto" aria-label=${t("approval.answer")} placeholder=${offered.length ? t("approval.other") : t("approval.answer")} value=${answer} onInput=${typed} onKeyDown=${key}></textarea>`}
      <button type="button" class="button primary" disabled=${busy || !ready} onClick=${() => give(answer.trim())}>${t("approval.send")}</button>
      <button type="button" class="ghost" disabled=${busy} onClick=${() => say({ approve: false })}>${t("approval.noAnswer")}</button>
    </div>`;
}
