// A question to the person: may this call run, and with just these arguments; or what is your answer.
import { html } from "htm/preact";
import { useEffect, useId, useState } from "preact/hooks";
import { announce, approvalOf, decide, loadApproval } from "../state.js";
import { moment } from "../format.js";
import { Icon } from "../icons.js";
import { Menu } from "../menu.js";
import { useSheet } from "../sheets.js";
import { has, t } from "../strings.js";
import { argumentsOf } from "../turns.js";
import { ArgumentFields, Arguments, draftOf, readDraft } from "./arguments.js";
import { Answering } from "./answering.js";
import { Elicited } from "./elicited.js";

/** @typedef {import("../types.js").Approval} Approval */
/** @typedef {import("../types.js").Verdict} Verdict */

/** The question as an item of an answer. @param {{item: import("../types.js").Item}} props */
export function Asked({ item }) {
  const id = item.id ?? "";
  const approval = approvalOf(id);
  useEffect(() => void (approvalOf(id) || loadApproval(id)), [id]);
  useEffect(() => {
    if (approval?.status === "pending") announce(item["portal:question"] ? t("approval.asksYou") : t("approval.allow", { tool: item.name }));
  }, [approval?.status]);
  if (!approval) return html`<p class="progress"><${Icon} name="shield" />${t("approval.allow", { tool: item.name })}</p>`;
  return approval.status === "pending" ? html`<${ApprovalCard} approval=${approval} />` : html`<${Decided} approval=${approval} />`;
}

/** What became of it, in one line. @param {{approval: Approval}} props */
function Decided({ approval }) {
  const { status, question, tool, answer } = approval;
  const text = argumentsOf(JSON.stringify(approval.arguments))?.question ?? tool;
  if (question) return html`<p class="decided"><${Icon} name="ask" /><span dir="auto">${text}</span> <strong dir="auto">${answer || t(outcome(status))}</strong></p>`;
  return html`<p class="decided"><${Icon} name="shield" /><span>${t(outcome(status), { tool })}</span>${answer && html`<span dir="auto">${answer}</span>`}</p>`;
}

/** @param {string} status */
const outcome = (status) => /** @type {"approval.allowed"} */ (status === "expired" ? "approval.expired" : status === "denied" ? "approval.denied" : "approval.allowed");

/** @param {{approval: Approval}} props */
export function ApprovalCard({ approval }) {
  useSheet("approvals");
  const id = useId();
  const [busy, setBusy] = useState(false);
  const say = async (/** @type {Verdict} */ verdict) => {
    setBusy(true);
    if (!(await decide(approval.id, verdict))) setBusy(false);
  };
  return html`<section class="approval" aria-labelledby=${id} aria-busy=${busy ? "true" : "false"}>
    ${approval.call_id && approval.question
      ? html`<${Elicited} id=${id} approval=${approval} busy=${busy} say=${say} />`
      : approval.question
      ? html`<${Answering} id=${id} approval=${approval} busy=${busy} say=${say} />`
      : html`<${Permission} id=${id} approval=${approval} busy=${busy} say=${say} />`}
    <p class="small muted">${t("approval.until", { time: moment(approval.expires_at) })}</p>
  </section>`;
}

/** @param {{id: string, approval: Approval, busy: boolean, say: (verdict: Verdict) => void}} props */
function Permission({ id, approval, busy, say }) {
  const aside = approval.call_id !== null;
  const values = aside ? spoken(approval.arguments) : approval.arguments;
  const [draft, setDraft] = useState(/** @type {Record<string, string|boolean>|null} */ (null));
  const [reason, setReason] = useState(/** @type {string|null} */ (null));
  const { made, wrong } = draft ? readDraft(values, draft) : { made: null, wrong: null };
  const yes = (/** @type {string} */ extent) => say({ approve: true, extent, ...(made ? { arguments: made } : {}) });
  return html`<h2 id=${id} class="row approval-head"><${Icon} name="shield" /><span class="grow">${aside ? t("approval.sampling", { server: approval.toolset }) : t("approval.allow", { tool: approval.tool })}</span><${Risk} risk=${approval.risk} /></h2>
    <p class="small">${approval.why}</p>
    ${draft ? html`<${ArgumentFields} values=${values} draft=${draft} onChange=${setDraft} />` : html`<${Arguments} values=${values} />`}
    ${wrong && html`<p class="bad small" role="alert">${t("approval.wrong", { name: wrong })}</p>`}
    ${reason === null
      ? html`<div class="row wrap">
          <button type="button" class="button primary" disabled=${busy || wrong !== null} onClick=${() => yes("once")}>${t("approval.once")}</button>
          <${Longer} approval=${approval} edited=${made !== null} disabled=${busy || wrong !== null} onPick=${yes} />
          <button type="button" class="button" disabled=${busy} onClick=${() => say({ approve: false })}>${t("approval.deny")}</button>
          <span class="grow"></span>
          ${!aside && Object.keys(values).length > 0 && html`<button type="button" class="ghost" disabled=${busy} onClick=${() => setDraft(draft ? null : draftOf(values))}>${draft ? t("approval.asAsked") : t("approval.edit")}</button>`}
          ${!aside && html`<button type="button" class="ghost" disabled=${busy} onClick=${() => setReason("")}>${t("approval.denyWhy")}</button>`}
        </div>`
      : html`<form class="row wrap" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); say({ approve: false, answer: reason.trim() }); }}>
          <input class="input approval-reason" aria-label=${t("approval.reason")} placeholder=${t("approval.reason")} dir="auto" value=${reason}
            ref=${(/** @type {HTMLInputElement|null} */ field) => field && !reason && field.focus()} onInput=${(/** @type {any} */ event) => setReason(event.target.value)} />
          <button class="button" disabled=${busy}>${t("approval.deny")}</button>
          <button type="button" class="ghost" onClick=${() => setReason(null)}>${t("common.cancel")}</button>
        </form>`}`;
}

/** What a server would have a model told, as lines to read. @param {Record<string, any>} asked */
const spoken = ({ messages = [], ...rest }) => ({ ...rest, messages: messages.map((/** @type {any} */ each) => `${each.role}: ${each.text}`).join("\n") });

/** How much further a yes can go. @param {{approval: Approval, edited: boolean, disabled: boolean, onPick: (extent: string) => void}} props */
function Longer({ approval, edited, disabled, onPick }) {
  const offered = approval.extents.filter((each) => each !== "once" && !(edited && (each === "folder" || each === "domain")));
  if (!offered.length || disabled) return null;
  return html`<${Menu} class="button" label=${t("approval.longer")} button=${html`${t("approval.longer")}<${Icon} name="chevron" />`}>
    ${(/** @type {() => void} */ close) => offered.map((extent) => html`<button key=${extent} type="button" role="menuitem" tabindex="-1"
      onClick=${() => { close(); onPick(extent); }}><span>${extentWords(extent, approval.scope)}</span></button>`)}
  <//>`;
}

/** @param {string} extent @param {string} scope */
export function extentWords(extent, scope) {
  const key = `extent.${extent}`;
  return has(key) ? t(key, { scope }) : extent;
}

/** @param {{risk: string}} props */
export function Risk({ risk }) {
  const key = `risk.${risk}`;
  return html`<span class=${`tag risk is-${risk}`}>${has(key) ? t(key) : risk}</span>`;
}
