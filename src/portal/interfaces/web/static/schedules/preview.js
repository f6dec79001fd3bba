// What `when` means: the next times, as the server works them out, a moment after the last key.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { previewSchedule } from "../api/schedules.js";
import { locale, t } from "../strings.js";

const PAUSE = 300; // milliseconds

/** @param {{id: string, when: string, zone: string}} props */
export function Preview({ id, when, zone }) {
  const [plan, setPlan] = useState(/** @type {{next: number[], zone: string, error: string}|null} */ (null));
  useEffect(() => {
    let current = true;
    const timer = setTimeout(async () => {
      const found = await planned(when, zone);
      if (current) setPlan(found);
    }, PAUSE);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [when, zone]);
  return html`<div id=${id} class="schedule-preview small" role="status">
    ${plan?.error && html`<p class="bad" dir="auto">${plan.error}</p>`}
    ${plan && plan.next.length > 0 && html`<p class="muted">${t("schedules.nextTimes")}</p><ol class="plain">${plan.next.map((at) => html`<li key=${at}>${told(at, plan.zone)}</li>`)}</ol>`}
  </div>`;
}

/** @param {string} when @param {string} zone */
async function planned(when, zone) {
  if (!when.trim()) return { next: [], zone, error: "" };
  try {
    return { ...(await previewSchedule(when, zone)), error: "" };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { next: [], zone, error: error.status ? error.message : t("error.unreachable") };
  }
}

/** In the schedule's own zone. @param {number} at @param {string} zone */
const told = (at, zone) => new Intl.DateTimeFormat(locale(), { dateStyle: "full", timeStyle: "short", timeZone: zone }).format(new Date(at * 1000));
