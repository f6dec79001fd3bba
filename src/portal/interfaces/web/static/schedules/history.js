// What a schedule has done: its runs, newest first, with their conversations and where the answers went.
import { html } from "htm/preact";
import * as api from "../api/schedules.js";
import { scheduleNews } from "../state/schedules.js";
import { moment } from "../format.js";
import { useEffect } from "preact/hooks";
import { usePages, useTicks } from "../load.js";
import { conversationPath } from "../router.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").ScheduleRun} Run */

const BAD = new Set(["failed", "unknown", "unanswered"]);

/** @param {{status: Run["status"]}} props */
export const RunStatus = ({ status }) => html`<span class=${`tag${BAD.has(status) ? " risk is-execute" : ""}`}>${t(`schedules.status.${status}`)}</span>`;

/** @param {{id: string}} props */
export function History({ id }) {
  const ticks = useTicks(scheduleNews);
  const runs = usePages((page) => api.scheduleRuns(id, page), [id], 20);
  useEffect(() => void (ticks && runs.reload()), [ticks]);
  return html`<section class="column" aria-labelledby="schedule-runs"><h2 id="schedule-runs">${t("schedules.history")}</h2>
    ${runs.failed && html`<p class="bad">${t("settings.loadFailed")}</p>`}
    ${runs.loaded && !runs.failed && !runs.data.length && html`<p class="muted">${t("schedules.noRuns")}</p>`}
    <ul class="lines">${runs.data.map((each) => html`<${Line} key=${each.id} run=${each} />`)}</ul>
    ${runs.next && html`<p><button type="button" class="button" onClick=${runs.more}>${t("memory.more")}</button></p>`}
  </section>`;
}

/** @param {{run: Run}} props */
function Line({ run }) {
  const trouble = run.deliveries.filter(({ status }) => status !== "sent");
  return html`<li class="line schedule-run">
    <span class="grow"><span class="row wrap">${run.started_at ? html`<a href=${conversationPath(run.conversation_id)}>${moment(run.due_at)}</a>` : moment(run.due_at)}
      <${RunStatus} status=${run.status} /><span class="small muted">${t(`schedules.cause.${run.cause}`)}</span></span>
      ${run.error && html`<span class="small muted" dir="auto">${run.error}</span>`}
      ${trouble.map((each) => html`<span key=${each.target} class="small bad" dir="auto">${t(`schedules.delivery.${each.status}`, { target: each.target })} ${each.error}</span>`)}</span>
  </li>`;
}
