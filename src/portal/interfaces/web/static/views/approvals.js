// Approvals: the questions that wait, and what became of the others.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api.js";
import { approvalNews, approvalsLoaded, pendingApprovals } from "../state.js";
import { moment } from "../format.js";
import { Bar } from "../layout.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { conversationPath } from "../router.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { gist } from "../turns.js";
import { ApprovalCard, Risk } from "../chat/approval.js";

/** @typedef {import("../types.js").Approval} Approval */

export function View() {
  useSheet("approvals");
  const waiting = pendingApprovals.value;
  return html`<${Bar} title=${t("approvals.title")} />
    <div class="page"><div class="page-inner is-wide">
      <p class="muted">${t("approvals.about")} <a href="/manual/approvals">${t("approvals.more")}</a></p>
      <section class="column" aria-labelledby="approvals-open"><h2 id="approvals-open">${t("approvals.open")}</h2>
        ${approvalsLoaded.value && !waiting.length && html`<p class="notice"><${Icon} name="check" /><span class="grow">${t("approvals.none")}</span></p>`}
        ${waiting.map((each) => html`<div class="column" key=${each.id}><${Where} approval=${each} /><${ApprovalCard} approval=${each} /></div>`)}
      </section>
      <${History} />
    </div></div>`;
}

/** @param {{approval: Approval}} props */
function Where({ approval }) {
  const { conversation_id: id, workspace, created_at } = approval;
  return html`<p class="small muted row wrap"><span>${moment(created_at)}</span><span>${workspace}</span>
    ${id && html`<a href=${conversationPath(id)}>${t("approvals.conversation")}</a>`}</p>`;
}

/** @param {Approval} approval */
function statusWords({ status, question }) {
  const word = question && (status === "approved" || status === "used") ? "answered" : status;
  return t(/** @type {"approvals.status.used"} */ (`approvals.status.${word}`));
}

const PAGE = 30;

function History() {
  const [limit, setLimit] = useState(PAGE);
  const { data, failed } = useLoad(() => api.approvals({ limit }), [limit, approvalNews.value]);
  const rows = (data?.data ?? []).filter((each) => each.status !== "pending");
  if (failed) return html`<p class="bad">${t("settings.loadFailed")}</p>`;
  if (!rows.length) return null;
  return html`<section class="column" aria-labelledby="approvals-past"><h2 id="approvals-past">${t("approvals.past")}</h2>
    <ul class="lines">${rows.map((each) => html`<li class="line" key=${each.id}><${Past} approval=${each} /></li>`)}</ul>
    ${data?.next && limit < 200 && html`<div><button type="button" class="button" onClick=${() => setLimit(Math.min(200, limit + 3 * PAGE))}>${t("approvals.older")}</button></div>`}
  </section>`;
}

/** @param {{approval: Approval}} props */
function Past({ approval }) {
  const { tool, status, risk, answer, decided_at, conversation_id: id, question } = approval;
  const about = gist(JSON.stringify(approval.arguments));
  return html`<div class="grow past">
      <span class="row wrap"><strong>${tool}</strong>${!question && html`<${Risk} risk=${risk} />`}<span class="small muted">${moment(decided_at ?? approval.created_at)}</span></span>
      ${about && html`<span class="small clip" dir="auto">${about}</span>`}
      ${answer && html`<span class="small muted" dir="auto">${answer}</span>`}
    </div>
    <span class=${status === "denied" || status === "expired" ? "status is-down" : "status is-up"}>${statusWords(approval)}</span>
    ${id && html`<a class="ghost icon-only" href=${conversationPath(id)} aria-label=${`${t("approvals.conversation")}: ${tool}`}><${Icon} name="chat" /></a>`}`;
}
